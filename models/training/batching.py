"""The batches of an epoch and their order: a pure function of (seed, epoch)."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

Batch = TypeVar("Batch", bound=tuple[Any, ...])  # a NamedTuple of tensors


def collate(items: Sequence[Batch]) -> Batch:
    """Joins items, NamedTuples of tensors, into a batch: tensors of other lengths are padded with 0 to the longest."""
    columns = (
        torch.stack(column) if column[0].dim() == 0 else pad_sequence(list(column), batch_first=True)
        for column in zip(*items, strict=True)
    )
    return type(items[0])(*columns)


class StepSampler:
    """A sampler of batches: an epoch is a sequence of optimizer steps, and each process takes its batches of a step.

    It is iterated as a DataLoader's `batch_sampler`.
    """

    def __init__(self, batch_size: int, seed: int, num_processes: int, process_index: int, accumulation: int) -> None:
        """Settles the size of a step.

        Args:
            batch_size: items a batch and process.
            seed: decides the order together with the epoch.
            num_processes, process_index: the processes that share a step, and which one this is.
            accumulation: batches that a process adds up for a step.
        """
        self.batch_size = batch_size
        self.seed = seed
        self.process_index = process_index
        self.accumulation = accumulation
        self.parts = num_processes * accumulation  # batches that share a step
        self.epoch, self.start = 0, 0

    def set_position(self, epoch: int, start: int = 0) -> None:
        """The next iteration is this epoch's, from its step number `start` on."""
        self.epoch, self.start = epoch, start

    def __iter__(self) -> Iterator[Any]:
        """The batches of this process, from the position on."""
        raise NotImplementedError

    def __len__(self) -> int:
        """Batches of a whole epoch, a process."""
        return self.num_steps * self.accumulation

    @property
    def num_steps(self) -> int:
        """Optimizer steps of a whole epoch."""
        raise NotImplementedError

    def _own_batches(self, step: np.ndarray) -> Iterator[np.ndarray]:
        """The batches of this process among a step's items."""
        for part in range(self.process_index * self.accumulation, (self.process_index + 1) * self.accumulation):
            yield step[part :: self.parts]


class LengthBucketSampler(StepSampler):
    """Batches of utterances of similar length, in an order that only the seed and the epoch decide.

    Utterances are sorted by length, cut into batches, and the batches are shuffled. Each length first gets up to
    `JITTER` of noise, so that an epoch groups the utterances differently from the last one.

    An optimizer step sees `batch_size * num_processes * accumulation` utterances, however they are divided: each
    process takes its own share of them, in `accumulation` batches one after the other. So all processes always step
    together, no utterance is seen twice in an epoch, and 4 batches of 4 hold the same utterances as one of 16.

    With `max_batch_frames` a batch holds as many utterances of its length as these frames have room for, padding
    counted. How many those are at each place in the order of lengths is the same in every epoch.
    """

    JITTER = 0.03  # at 16 utterances a batch and LJSpeech's lengths this leaves padding near 2 %

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int,
        num_processes: int = 1,
        process_index: int = 0,
        accumulation: int = 1,
        max_batch_frames: int | None = None,
    ) -> None:
        """Sorts utterances into steps.

        Args:
            lengths: frames of each utterance.
            batch_size: utterances a batch and process, where frames do not decide.
            seed: decides the order together with the epoch.
            num_processes, process_index: the processes that share the utterances, and which one this is.
            accumulation: batches that a process adds up for a step.
            max_batch_frames: the most frames of a batch, padding counted; None: `batch_size` decides.

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
        if max_batch_frames is None:
            together = self.batch_size * self.parts
            self._rest = len(lengths) % together
            self._cuts = [*range(0, len(lengths) - self._rest + 1, together)]
        else:
            self._rest = len(lengths) % self.parts
            self._cuts = self._cut_by_frames(max_batch_frames)

    def _cut_by_frames(self, limit: int) -> list[int]:
        """The indices at which steps begin and end, in an epoch sorted by noisy length."""
        # The rest is random. At every position, leaving out the shortest utterances gives the longest possible one.
        longest = np.sort(self.lengths)[self._rest :]
        if longest[-1] > limit:
            raise ValueError(f"an utterance of {longest[-1]:.0f} frames does not fit into a batch of {limit}")
        # Noise moves utterances: one may stand where one stood that is shorter by this factor.
        moved = (1 + self.JITTER) / (1 - self.JITTER)
        cuts = [len(longest)]
        while cuts[-1] > 0:
            size = max(1, int(limit / (moved * longest[cuts[-1] - 1])))
            cuts.append(max(0, cuts[-1] - size * self.parts))
        return cuts[::-1]

    @property
    def num_steps(self) -> int:
        """Optimizer steps of a whole epoch."""
        return len(self._cuts) - 1 + (self._rest >= self.parts)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(len(self.lengths))
        # Which utterances form the smaller last step, or are left out when each batch cannot have one, is random.
        order, left = order[self._rest :], order[: self._rest]
        noise = rng.uniform(1 - self.JITTER, 1 + self.JITTER, len(order))
        order = order[np.argsort(self.lengths[order] * noise, kind="stable")]
        steps = [order[first:last] for first, last in pairwise(self._cuts)]
        if len(left) >= self.parts:
            steps.append(left)
        for number in rng.permutation(len(steps))[self.start :]:
            for rows in self._own_batches(steps[number]):
                yield rows.tolist()
