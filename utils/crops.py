"""Which crops of which clips form a batch: a pure function of (seed, epoch)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np


class Crop(NamedTuple):
    """A random piece of a clip."""

    row: int  # of the data set
    fraction: float  # in [0, 1): where it starts, between the first place that a crop can start at and the last


class CropSampler:
    """Batches of one random crop of each clip, in an order and at places that only the seed and the epoch decide.

    An optimizer step sees `batch_size * num_processes * accumulation` crops, however they are divided, as with
    `utils.batching.LengthBucketSampler`, whose interface it has. Steps are all of the same size: the clips that are
    left over wait for the next epoch, and a corpus smaller than a step gives several crops of a clip. It is iterated
    as a DataLoader's `batch_sampler`.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int,
        num_processes: int = 1,
        process_index: int = 0,
        accumulation: int = 1,
    ) -> None:
        """Args:
        lengths: one of each clip; only how many there are matters here.
        batch_size: crops a batch and process.
        seed: decides order and places together with the epoch.
        num_processes, process_index: the processes that share the crops, and which one this is.
        accumulation: batches that a process adds up for a step.

        Raises:
            ValueError: there is no clip.
        """
        if not lengths:
            raise ValueError("there are no clips to crop")
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.process_index = process_index
        self.accumulation = accumulation
        self.parts = num_processes * accumulation  # batches that share the crops of a step
        self.epoch, self.start = 0, 0

    def set_position(self, epoch: int, start: int = 0) -> None:
        """The next iteration is this epoch's, from its step number `start` on."""
        self.epoch, self.start = epoch, start

    def __len__(self) -> int:
        """Batches of a whole epoch, a process."""
        return self.num_steps * self.accumulation

    @property
    def num_steps(self) -> int:
        """Optimizer steps of a whole epoch."""
        return max(1, len(self.lengths) // (self.batch_size * self.parts))

    def __iter__(self) -> Iterator[list[Crop]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        together = self.batch_size * self.parts
        order = np.resize(rng.permutation(len(self.lengths)), (self.num_steps, together))  # repeats what is too little
        fractions = rng.random(order.shape)
        for rows, places in zip(order[self.start :], fractions[self.start :], strict=True):
            for part in range(self.process_index * self.accumulation, (self.process_index + 1) * self.accumulation):
                chosen = slice(part, None, self.parts)
                yield [Crop(*pair) for pair in zip(rows[chosen].tolist(), places[chosen].tolist(), strict=True)]
