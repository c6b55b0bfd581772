"""Which utterances form a batch, and in which order: a pure function of (seed, epoch)."""

from collections.abc import Iterator, Sequence

import numpy as np


class LengthBucketSampler:
    """Batches of utterances of similar length, in an order that only the seed and the epoch decide.

    Utterances are sorted by length, cut into batches, and the batches are shuffled. Each length first gets up to
    `JITTER` of noise, so that an epoch groups the utterances differently from the last one.

    Every process draws the same batches of `batch_size * num_processes` utterances and takes its own share of each, so
    that all processes always step together and no utterance is seen twice in an epoch. It is iterated as a DataLoader's
    `batch_sampler`.
    """

    JITTER = 0.03  # at 16 utterances a batch and LJSpeech's lengths this leaves padding near 2 %

    def __init__(
        self, lengths: Sequence[int], batch_size: int, seed: int, num_processes: int = 1, process_index: int = 0
    ) -> None:
        """Args:
        lengths: frames of each utterance.
        batch_size: utterances a batch and process.
        seed: decides the order together with the epoch.
        num_processes, process_index: the processes that share the utterances, and which one this is.

        Raises:
            ValueError: there are fewer utterances than processes.
        """
        if len(lengths) < num_processes:
            raise ValueError(f"{len(lengths)} utterances cannot feed {num_processes} processes")
        self.lengths = np.asarray(lengths, dtype=np.float64)
        self.batch_size = batch_size
        self.seed = seed
        self.num_processes, self.process_index = num_processes, process_index
        self.epoch, self.start = 0, 0

    def set_position(self, epoch: int, start: int = 0) -> None:
        """The next iteration is this epoch's, from its batch number `start` on."""
        self.epoch, self.start = epoch, start

    def __len__(self) -> int:
        """Batches of a whole epoch, a process."""
        whole, rest = divmod(len(self.lengths), self.batch_size * self.num_processes)
        return whole + (rest >= self.num_processes)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        together = self.batch_size * self.num_processes
        order = rng.permutation(len(self.lengths))
        # Which utterances form the smaller last batch, or are left out when each process cannot have one, is random.
        rest = len(order) % together
        order, left = order[rest:], order[:rest]
        noise = rng.uniform(1 - self.JITTER, 1 + self.JITTER, len(order))
        order = order[np.argsort(self.lengths[order] * noise, kind="stable")]
        batches = list(order.reshape(-1, together))
        if rest >= self.num_processes:
            batches.append(left)
        for number in rng.permutation(len(batches))[self.start :]:
            yield batches[number][self.process_index :: self.num_processes].tolist()
