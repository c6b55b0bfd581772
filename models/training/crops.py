"""The crops of clips that form a batch: a pure function of (seed, epoch)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from models.training.batching import StepSampler


class Crop(NamedTuple):
    """A random piece of a clip."""

    row: int  # of the data set
    fraction: float  # in [0, 1): where it starts, between the first place that a crop can start at and the last


class CropSampler(StepSampler):
    """Batches of one random crop of each clip, in an order and at places that only the seed and the epoch decide.

    An optimizer step sees `batch_size * num_processes * accumulation` crops, however they are divided, as with
    `LengthBucketSampler`. Steps are all of the same size: the clips that are left over wait for the next epoch, and a
    corpus smaller than a step gives several crops of a clip.
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
        """Settles the size of a step.

        Args:
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
        super().__init__(batch_size, seed, num_processes, process_index, accumulation)
        self.lengths = lengths

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
            for own_rows, own_places in zip(self._own_batches(rows), self._own_batches(places), strict=True):
                yield [Crop(*pair) for pair in zip(own_rows.tolist(), own_places.tolist(), strict=True)]
