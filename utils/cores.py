"""The machine's processors."""

import os


def available_cores() -> int:
    """The cores for this process, fewer than the machine has in a container, or beside other processes of a launcher."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
