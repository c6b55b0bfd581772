"""Sums over the steps since the last line of the log."""

import time
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor


class BatchSize(NamedTuple):
    """Size of a batch, known without waiting for the device."""

    real: float  # units of progress (mel frames, for an acoustic model)
    padded: float  # the same with padding


class Speed(NamedTuple):
    """The speed of training."""

    rate: float  # units of progress a second, of all processes
    ms_per_step: float
    padding: float  # share of what the batches held


class Sums(dict[str, Tensor]):
    """Scalars by name, added up over batches."""

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Adds, without their graphs."""
        for name, value in values.items():
            self[name] = self[name] + value.detach() if name in self else value.detach()


class Window:
    """Losses, sizes and times since the last line of the log. Losses stay on the device until they are read."""

    def __init__(self, device: torch.device) -> None:
        self.started = time.perf_counter()
        self.real, self.padded, self.steps = 0.0, 0.0, 0
        self.sums = Sums()
        self.counts: dict[str, int] = {}
        self.first_bad = torch.tensor(-1, device=device)  # the first step with a loss or gradient that is not finite
        self.indices: list[Tensor] = []  # the utterances of each step

    def add(self, index: Tensor, size: BatchSize, losses: dict[str, Tensor]) -> None:
        """Takes note of one step."""
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
        """Means over the window, on the device."""
        return {name: value / self.counts[name] for name, value in self.sums.items()}

    def speed(self, num_processes: int) -> Speed:
        """From the window's start until now, as if all processes had done as much as this one."""
        seconds = time.perf_counter() - self.started
        return Speed(self.real * num_processes / seconds, 1000 * seconds / self.steps, 1 - self.real / self.padded)
