"""Chooses the GPUs of a recipe's run."""

import functools
import os
import subprocess

from utils.errors import UserError


@functools.cache
def choose_gpus(wanted: str | None) -> int:
    """Sets the GPUs that are visible to the programs of this run; logs if they run on the CPU.

    Args:
        wanted: the value of --gpu; None: CUDA_VISIBLE_DEVICES, or else the first GPU.

    Returns:
        How many they are; 0: the CPU.

    Raises:
        UserError: --gpu does not list GPUs of this machine.
    """
    status, listing = subprocess.getstatusoutput("nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null")
    names = listing.splitlines() if status == 0 else []
    if not names:
        print("No NVIDIA GPU found: running on the CPU.", flush=True)
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        return 0
    listed = (wanted or os.environ.get("CUDA_VISIBLE_DEVICES", "0")).replace(" ", "")
    if not listed:
        print("CUDA_VISIBLE_DEVICES is empty: running on the CPU.", flush=True)
        return 0
    gpus = listed.split(",")
    for gpu in gpus:
        if gpu.startswith(("GPU-", "MIG-")):  # a card, or a part of one, by its UUID
            continue
        if not (gpu.isascii() and gpu.isdigit()):
            raise UserError(f"--gpu is a list of numbers such as 0,1, not '{listed}'", 2)
        if int(gpu) >= len(names):
            raise UserError(f"--gpu {gpu}: this machine has {len(names)} GPU(s), numbered from 0", 2)
    os.environ["CUDA_VISIBLE_DEVICES"] = listed
    if any("RTX 3090" in name or "RTX 40" in name for name in names):
        # Their drivers offer direct transfers that these cards do not have, and NCCL hangs on them.
        os.environ.setdefault("NCCL_P2P_DISABLE", "1")
        os.environ.setdefault("NCCL_IB_DISABLE", "1")
    return len(gpus)
