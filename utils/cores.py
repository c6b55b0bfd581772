"""The machine's processors."""

import os


def available_cores() -> int:
    """The cores for this process; it may share the machine with others of its launcher, or be in a container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
