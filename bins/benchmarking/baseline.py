"""A straightforward step of FastSpeech 2, the reference of `bins/benchmark.py --baseline`.

Phones are repeated one by one, convolutions are the framework's alone, and a batch holds any utterances.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from models.training.batching import LengthBucketSampler
from modules.conv import Conv1d
from modules.length_regulator import LengthRegulator


@contextmanager
def baseline() -> Iterator[None]:
    """Makes trainers run the straightforward step in a `with` block; batches that begin in it have no buckets."""
    with ExitStack() as stack:
        stack.enter_context(plain_convolutions())
        stack.enter_context(replaced(LengthRegulator, "forward", _phone_by_phone))
        stack.enter_context(replaced(LengthBucketSampler, "__iter__", _without_buckets))
        yield


@contextmanager
def replaced(owner: type, name: str, method: Any) -> Iterator[None]:
    """Replaces a method of a class in a `with` block."""
    original = getattr(owner, name)
    setattr(owner, name, method)
    try:
        yield
    finally:
        setattr(owner, name, original)


@contextmanager
def plain_convolutions() -> Iterator[None]:
    """Makes convolutions over time use only PyTorch's algorithms in a `with` block."""

    def convolve(self: Conv1d, x: Tensor) -> Tensor:
        return nn.Conv1d.forward(self, x.contiguous().transpose(1, 2)).contiguous().transpose(1, 2)

    with replaced(Conv1d, "forward", convolve):
        yield


def _phone_by_phone(
    self: LengthRegulator, x: Tensor, durations: Tensor, num_frames: int | None = None
) -> tuple[Tensor, Tensor]:
    rows = [
        torch.cat([phone.expand(max(int(count), 0), -1) for phone, count in zip(phones, counts, strict=True)])
        for phones, counts in zip(x, durations, strict=True)
    ]
    mel_lengths = torch.tensor([len(row) for row in rows], device=x.device)
    padded = pad_sequence(rows, batch_first=True)
    return padded if num_frames is None else F.pad(padded, (0, 0, 0, num_frames - padded.size(1))), mel_lengths


def _without_buckets(self: LengthBucketSampler) -> Iterator[list[int]]:
    order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.lengths))
    together = self.batch_size * self.parts
    for start in range(0, len(order) - together + 1, together):
        for part in range(self.process_index * self.accumulation, (self.process_index + 1) * self.accumulation):
            yield order[start : start + together][part :: self.parts].tolist()
