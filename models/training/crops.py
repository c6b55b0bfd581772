"""Random crops of clips and their order, a pure function of (seed, epoch)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from models.training.batching import StepSampler


class Crop(NamedTuple):
    """A random piece of a clip."""

    row: int  # of the dataset
    fraction: float  # start of the crop, in [0, 1) of the range of possible starts


class CropSampler(StepSampler):
    """Batches of one random crop per clip; order and crops depend only on the seed and the epoch.

    An optimizer step has `batch_size * num_processes * accumulation` crops, however they are divided, as with
    `LengthBucketSampler`. All steps have the same size: clips that are left over wait for the next epoch, and a corpus
    smaller than a step yields several crops per clip.
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
        """Sets the size of a step.

        Args:
            lengths: one per clip; only their number matters here.
            batch_size: crops per batch and process.
            seed: determines order and crops together with the epoch.
            num_processes: number of processes that share the crops.
            process_index: index of this process.
            accumulation: batches per step and process.

        Raises:
            ValueError: there is no clip.
        """
        if not lengths:
            raise ValueError("there are no clips to crop")
        super().__init__(batch_size, seed, num_processes, process_index, accumulation)
        self.lengths = lengths

    @property
    def num_steps(self) -> int:
        """Number of optimizer steps of a whole epoch."""
        return max(1, len(self.lengths) // (self.batch_size * self.parts))

    def __iter__(self) -> Iterator[list[Crop]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        step_size = self.batch_size * self.parts
        # If there are fewer clips than a step needs, np.resize repeats them.
        order = np.resize(rng.permutation(len(self.lengths)), (self.num_steps, step_size))
        fractions = rng.random(order.shape)
        for step_rows, step_fractions in zip(order[self.start :], fractions[self.start :], strict=True):
            batches = zip(self._own_batches(step_rows), self._own_batches(step_fractions), strict=True)
            for batch_rows, batch_fractions in batches:
                yield [Crop(*pair) for pair in zip(batch_rows.tolist(), batch_fractions.tolist(), strict=True)]
