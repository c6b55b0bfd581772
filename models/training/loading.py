"""Parts of a trainer: precision, optimizer, sampler and loader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.optim import Adam
from torch.utils.data import DataLoader

from config.schema import AdamConfig, TrainConfig
from models.training.batching import LengthBucketSampler, StepSampler, collate
from models.training.resident import CanBeResident, ResidentLoader, should_be_resident
from utils.cores import available_cores
from utils.errors import UserError


def check_not_empty(train_set: Any, valid_set: Any) -> None:
    """Checks that neither the training set nor the validation set is empty.

    Raises:
        UserError: a set is empty.
    """
    for dataset, split in ((train_set, "train"), (valid_set, "valid")):
        if not len(dataset):
            raise UserError(
                f"{', '.join(map(str, dataset.data_dirs))}: {split}.jsonl is empty: training needs more utterances, "
                "or a preprocess.valid_fraction above 0"
            )


def make_adam(kind: type[Adam], model: nn.Module, config: AdamConfig) -> Adam:
    """Creates the optimizer of a model: Adam (arXiv:1412.6980) or AdamW (arXiv:1711.05101)."""
    betas = (config.betas[0], config.betas[1])
    return kind(model.parameters(), config.lr, betas, config.eps, config.weight_decay, fused=True)


def make_loader(
    dataset: Any, sampler: StepSampler, config: TrainConfig, device: torch.device
) -> DataLoader | ResidentLoader:
    """Creates a loader of the sampler's batches: from memory of the device if `should_be_resident`, else from disk.

    Raises:
        UserError: train.data_on_device is true, and the data do not fit.
    """
    if isinstance(dataset, CanBeResident) and should_be_resident(config.data_on_device, dataset, device):
        return ResidentLoader(dataset.on_device(device), sampler)
    on_gpu = device.type == "cuda"
    workers = config.num_workers
    if workers is None:  # on a CPU the model keeps the cores busy, and reading a batch takes only 1 ms
        workers = min(4, available_cores()) if on_gpu else 0
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        collate_fn=collate,
        num_workers=workers,
        pin_memory=on_gpu,
        persistent_workers=workers > 0,
        generator=torch.Generator(),  # separate: drawing worker seeds must not change the model's dropout
    )


def make_sampler(
    lengths: Sequence[int],
    config: TrainConfig,
    accelerator: Accelerator,
    max_batch_frames: int | None = None,
    speakers: Sequence[int] = (),
) -> LengthBucketSampler:
    """Creates the sampler of this process; `max_batch_frames` and `speakers` as in LengthBucketSampler.

    Raises:
        UserError: there are fewer utterances than batches in a step, or one is longer than a batch may be.
    """
    processes, accumulation = accelerator.num_processes, config.gradient_accumulation_step
    if len(lengths) < processes * accumulation:
        raise UserError(
            f"{len(lengths)} training utterances are too few for {processes} processes and "
            f"train.gradient_accumulation_step = {accumulation}: each batch needs one"
        )
    if max_batch_frames is not None and max(lengths) > max_batch_frames:
        raise UserError(
            f"train.max_batch_frames = {max_batch_frames} is less than the longest training utterance has, "
            f"{max(lengths)} mel frames: raise it, or lower preprocess.max_seconds and run stage 1 again",
            exit_code=2,
        )
    return LengthBucketSampler(
        lengths,
        config.batch_size,
        config.random_seed,
        processes,
        accelerator.process_index,
        accumulation,
        max_batch_frames,
        speakers,
    )


def resolve_precision(wanted: str) -> str:
    """Returns "no" or "bf16" for train.mixed_precision; "auto" depends on the device."""
    if wanted != "auto":
        return wanted
    return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False) else "no"
