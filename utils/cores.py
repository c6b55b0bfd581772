"""The number of processor cores."""

import os


def available_cores() -> int:
    """Returns the number of cores for this process: the allowed ones, divided by the processes of its launcher."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
