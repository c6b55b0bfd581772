"""Losses, sizes and speed of the steps since the last line of the log."""

import time
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor


class BatchSize(NamedTuple):
    """Size of a batch, available without waiting for the device."""

    real: float  # in the trainer's unit (mel frames, for an acoustic model)
    padded: float  # the same, padding included


class Speed(NamedTuple):
    """Speed of training, and share of padding."""

    rate: float  # units per second, of all processes
    ms_per_step: float
    padding: float  # share of the padded batches


class Sums(dict[str, Tensor]):
    """Sums of scalars over batches, by name."""

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Adds values, detached from their autograd graphs."""
        for name, value in values.items():
            self[name] = self[name] + value.detach() if name in self else value.detach()


class Window:
    """Sums of losses and sizes since the last line of the log. Losses stay on the device until they are read."""

    def __init__(self, device: torch.device) -> None:
        self.started = time.perf_counter()
        self.real, self.padded, self.steps = 0.0, 0.0, 0
        self.sums = Sums()
        self.counts: dict[str, int] = {}
        # Index in the window of the first step with a loss or gradient that is not finite.
        self.first_bad = torch.tensor(-1, device=device)
        self.indices: list[Tensor] = []  # the utterances of each step

    def add(self, index: Tensor, size: BatchSize, losses: dict[str, Tensor]) -> None:
        """Adds one step."""
        self.real += size.real
        self.padded += size.padded
        self.steps += 1
        self.sums.add(losses)
        for name in losses:  # not every step has every loss
            self.counts[name] = self.counts.get(name, 0) + 1
        finite = torch.stack([value.float() for value in losses.values()]).isfinite().all()
        self.first_bad = torch.where((self.first_bad < 0) & ~finite, len(self.indices), self.first_bad)
        self.indices.append(index)

    def averages(self) -> dict[str, Tensor]:
        """Returns the means over the window, on the device."""
        return {name: value / self.counts[name] for name, value in self.sums.items()}

    def speed(self, num_processes: int) -> Speed:
        """Returns the speed since the window's start, as if all processes had done as much as this one."""
        seconds = time.perf_counter() - self.started
        return Speed(self.real * num_processes / seconds, 1000 * seconds / self.steps, 1 - self.real / self.padded)
