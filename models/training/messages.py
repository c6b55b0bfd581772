"""Messages of a training run: lines of its log, and errors with their remedies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from accelerate import Accelerator

from config.schema import ExpConfig
from models.training.batching import LengthBucketSampler
from models.training.crops import CropSampler
from models.training.resident import ResidentLoader
from models.training.steps import StepRunner
from models.training.window import BatchSize, Speed
from utils.errors import UserError
from utils.progress import format_seconds


class Training(Protocol):
    """The part of models.training.trainer.Trainer that messages need."""

    accelerator: Accelerator
    config: ExpConfig
    model: torch.nn.Module
    sampler: LengthBucketSampler | CropSampler
    train_loader: Any
    run_step: StepRunner
    unit: str
    step: int
    epoch: int

    @property
    def last_step(self) -> int: ...

    @property
    def max_batch_frames(self) -> int | None: ...

    def measure(self, batch: Any) -> BatchSize: ...


def start_lines(trainer: Training) -> list[str]:
    """Returns log lines on the model, the machine, the batches, and the first step."""
    accelerator, train = trainer.accelerator, trainer.config.train
    parameters = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    processes = accelerator.num_processes
    device = str(accelerator.device) if processes == 1 else f"{processes} processes"
    resident = " in its memory" if isinstance(trainer.train_loader, ResidentLoader) else ""
    frames = trainer.max_batch_frames
    per_batch, unit = (train.batch_size, "") if frames is None else (frames, f" {trainer.unit} at most")
    verb = "Training resumes at" if trainer.step else "Training starts at"
    return [
        f"{trainer.config.model_type}: {parameters / 1e6:.1f} M parameters on {device}, "
        f"precision {accelerator.mixed_precision}{trainer.run_step}, {len(trainer.sampler.lengths):,} utterances"
        f"{resident}, batches of {per_batch * processes * train.gradient_accumulation_step:,}{unit}",
        f"{verb} step {trainer.step:,} of {trainer.last_step:,}",
    ]


def step_line(trainer: Training, losses: Mapping[str, float], speed: Speed) -> str:
    """Returns a log line with losses, speed and the time left."""
    figures = "  ".join(f"{name} {value:.4g}" for name, value in losses.items())
    rate = f"{speed.rate:,.0f}" if speed.rate >= 100 else f"{speed.rate:.3g}"
    left = format_seconds((trainer.last_step - trainer.step) * speed.ms_per_step / 1000)
    return (
        f"step {trainer.step:,}/{trainer.last_step:,}  epoch {trainer.epoch}  {figures}  "
        f"{speed.ms_per_step:.0f} ms/step  {rate} {trainer.unit}/s  padding {100 * speed.padding:.1f} %  {left} left"
    )


def not_finite(trainer: Training, utt_ids: Sequence[str] | None) -> UserError:
    """Returns the error for a loss that became NaN or infinite.

    Args:
        trainer: the trainer.
        utt_ids: utterances of the step; None: it happened on another process.
    """
    names = "those of another process" if utt_ids is None else ", ".join(utt_ids)
    return UserError(
        f"The loss became NaN or infinite near step {trainer.step + 1}. The utterances of that step: {names}. Look at "
        "their features (or take them out of the corpus and run stage 1 again), or lower train.adam.lr; then resume "
        "from the last checkpoint with --resume."
    )


def out_of_memory(trainer: Training, batches: Sequence[Any]) -> UserError:
    """Returns the error for batches of a step that do not fit into the GPU's memory."""
    train, frames = trainer.config.train, trainer.max_batch_frames
    size = max(trainer.measure(batch).padded for batch in batches)
    key = f"train.batch_size (now {train.batch_size})" if frames is None else f"train.max_batch_frames ({frames})"
    resident = isinstance(trainer.train_loader, ResidentLoader)
    return UserError(
        f"The GPU's memory is too small for step {trainer.step + 1}, whose largest batch has {size:,.0f} "
        f"{trainer.unit}, padding included. Lower {key}, and raise train.gradient_accumulation_step (now "
        f"{train.gradient_accumulation_step}) to keep the step's size"
        f"{'; or set train.data_on_device to false: the data are in its memory, too' if resident else ''}. Then resume "
        "from the last checkpoint with --resume."
    )
