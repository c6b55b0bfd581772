"""Batches of an epoch and their order, a pure function of (seed, epoch)."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from models.training.balance import SpeakerBalance

_JITTER = 0.03  # with batches of 16 and LJSpeech's lengths, padding stays near 2 %
# Noise moves utterances: one may take the position of another that is shorter by this factor.
_MOVED = (1 + _JITTER) / (1 - _JITTER)

Batch = TypeVar("Batch", bound=tuple[Any, ...])  # a NamedTuple of tensors


def collate(items: Sequence[Batch]) -> Batch:
    """Joins items, NamedTuples of tensors, into a batch; shorter tensors are padded with 0 to the longest."""
    columns = (
        torch.stack(column) if column[0].dim() == 0 else pad_sequence(list(column), batch_first=True)
        for column in zip(*items, strict=True)
    )
    return type(items[0])(*columns)


class StepSampler:
    """A `batch_sampler` for a DataLoader that divides an epoch into optimizer steps.

    Each process gets its batches of every step.
    """

    def __init__(self, batch_size: int, seed: int, num_processes: int, process_index: int, accumulation: int) -> None:
        """Sets the size of a step.

        Args:
            batch_size: items per batch and process.
            seed: determines the order together with the epoch.
            num_processes: number of processes that share a step.
            process_index: index of this process.
            accumulation: batches per step and process.
        """
        self.batch_size = batch_size
        self.seed = seed
        self.process_index = process_index
        self.accumulation = accumulation
        self.parts = num_processes * accumulation  # batches that share a step
        self.epoch, self.start = 0, 0

    def set_position(self, epoch: int, start: int = 0) -> None:
        """Makes the next iteration start at step `start` of this epoch."""
        self.epoch, self.start = epoch, start

    def __iter__(self) -> Iterator[Any]:
        """Yields the batches of this process, beginning at the position."""
        raise NotImplementedError

    def __len__(self) -> int:
        """Number of batches of a whole epoch, per process."""
        return self.num_steps * self.accumulation

    @property
    def num_steps(self) -> int:
        """Number of optimizer steps of a whole epoch."""
        raise NotImplementedError

    def _own_batches(self, step: np.ndarray) -> Iterator[np.ndarray]:
        """Yields the batches of this process, given the items of a step."""
        for part in range(self.process_index * self.accumulation, (self.process_index + 1) * self.accumulation):
            yield step[part :: self.parts]


class LengthBucketSampler(StepSampler):
    """Batches of utterances of similar length, in an order that depends only on the seed and the epoch.

    Utterances are sorted by length and cut into batches, and the batches are shuffled. Each length first gets up to
    3 % of noise, so that every epoch groups the utterances differently.

    An optimizer step has `batch_size * num_processes * accumulation` utterances, however they are divided: each process
    takes its share in `accumulation` consecutive batches. So all processes always step at the same time, no utterance
    occurs twice in an epoch, and 4 batches of 4 hold the same utterances as one of 16.

    With `max_batch_frames` a batch holds as many utterances of its length as fit into this number of frames, padding
    included. The number at each position in the order of lengths is the same in every epoch.

    With several speakers, an epoch is drawn by `SpeakerBalance`, in pairs: a batch has at least two utterances of each
    of its speakers, if it is large enough for two.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int,
        num_processes: int = 1,
        process_index: int = 0,
        accumulation: int = 1,
        max_batch_frames: int | None = None,
        speakers: Sequence[int] = (),
    ) -> None:
        """Divides the utterances into steps.

        Args:
            lengths: frames of each utterance.
            batch_size: utterances per batch and process; ignored if `max_batch_frames` is given.
            seed: determines the order together with the epoch.
            num_processes: number of processes that share the utterances.
            process_index: index of this process.
            accumulation: batches per step and process.
            max_batch_frames: maximum frames of a batch, padding included; None: `batch_size` limits it.
            speakers: speaker of each utterance; empty: all are of one.

        Raises:
            ValueError: there are fewer utterances than batches in a step, or one is longer than max_batch_frames.
        """
        if len(lengths) < num_processes * accumulation:
            raise ValueError(
                f"{len(lengths)} utterances cannot feed {num_processes} processes with {accumulation} batches each"
            )
        super().__init__(batch_size, seed, num_processes, process_index, accumulation)
        self.lengths = np.asarray(lengths, dtype=np.float64)
        self.max_batch_frames = max_batch_frames
        self.balance = None
        if len(set(speakers)) > 1:
            most = batch_size if max_batch_frames is None else int(max_batch_frames / (max(lengths) * _MOVED**2))
            self.balance = SpeakerBalance(lengths, speakers, 2 if most >= 2 else 1, _JITTER)
        num_groups = len(lengths) if self.balance is None else self.balance.num_groups
        if max_batch_frames is None:
            step_size = max(1, batch_size // self._group_size) * self.parts
            self._rest = num_groups % step_size
            self._cuts = [*range(0, num_groups - self._rest + 1, step_size)]
        else:
            self._rest = num_groups % self.parts
            self._cuts = self._cut_by_frames(max_batch_frames)

    @property
    def _group_size(self) -> int:
        """Number of utterances that stay together."""
        return 1 if self.balance is None else self.balance.group_size

    def _cut_by_frames(self, limit: int) -> list[int]:
        """Returns the indices at which steps begin and end, in an epoch sorted by noisy length."""
        # The rest is chosen at random. Without the shortest utterances, each position has its longest possible length.
        longest = (np.sort(self.lengths) if self.balance is None else self.balance.longest())[self._rest :]
        if longest[-1] > limit:
            raise ValueError(f"an utterance of {longest[-1]:.0f} frames does not fit into a batch of {limit}")
        # Pairs are sorted with noise twice: inside their speaker, and then all together.
        longest = longest * _MOVED**self._group_size * self._group_size
        cuts = [len(longest)]
        while cuts[-1] > 0:
            size = max(1, int(limit / longest[cuts[-1] - 1]))
            cuts.append(max(0, cuts[-1] - size * self.parts))
        return cuts[::-1]

    @property
    def num_steps(self) -> int:
        """Number of optimizer steps of a whole epoch."""
        return len(self._cuts) - 1 + (self._rest >= self.parts)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        # [groups, utterances of a group]
        order = rng.permutation(len(self.lengths))[:, None] if self.balance is None else self.balance.draw(rng)
        # Random utterances form a smaller extra step, or are left out if there are too few for one in each batch.
        order, rest = order[self._rest :], order[: self._rest]
        noise = rng.uniform(1 - _JITTER, 1 + _JITTER, len(order))
        order = order[np.argsort(self.lengths[order].max(axis=1) * noise, kind="stable")]
        steps = [order[first:last] for first, last in pairwise(self._cuts)]
        if len(rest) >= self.parts:
            steps.append(rest)
        for number in rng.permutation(len(steps))[self.start :]:
            for rows in self._own_batches(steps[number]):
                yield rows.flatten().tolist()
