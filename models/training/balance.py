"""Draws an epoch's utterances from several speakers, so that those with few recordings are learned, too."""

from collections.abc import Sequence

import numpy as np


class SpeakerBalance:
    """Draws utterances with a weight of n ** -0.5, n being the number of their speaker's utterances.

    A speaker with 4 times the utterances of another one is heard twice as often, not 4 times. An epoch draws as many
    utterances as there are; some of a speaker with few occur several times, and some of a speaker with many wait for a
    later epoch. Utterances are drawn in groups of one speaker and of similar length.
    """

    def __init__(self, lengths: Sequence[int], speakers: Sequence[int], group_size: int, jitter: float) -> None:
        """Computes how often each speaker is drawn.

        Args:
            lengths: frames of each utterance.
            speakers: speaker of each utterance.
            group_size: utterances of a speaker that are drawn together.
            jitter: how far a length is changed at random before utterances are sorted by it, as a share.
        """
        self.lengths = np.asarray(lengths, dtype=np.float64)
        self.group_size, self.jitter = group_size, jitter
        self.num_groups = max(1, len(lengths) // group_size)
        self.rows = [np.flatnonzero(np.asarray(speakers) == speaker) for speaker in sorted(set(speakers))]
        shares = np.sqrt([len(rows) for rows in self.rows])
        self._ends = np.cumsum(shares) * (self.num_groups / shares.sum())
        self._ends[-1] = self.num_groups

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Returns [num_groups, group_size] rows of one epoch, in random order."""
        # Each speaker gets its share of the groups, rounded down or up at random so that the total is always the same.
        counts = np.diff(np.floor(self._ends + rng.random()), prepend=0).astype(int)
        groups = [self._draw_speaker(rows, count, rng) for rows, count in zip(self.rows, counts, strict=True)]
        return rng.permutation(np.concatenate(groups))

    def _draw_speaker(self, rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draws `count` groups of one speaker; no utterance is twice in a group unless there are too few."""
        passes, rest = divmod(count * self.group_size, len(rows))

        def by_length(rows: np.ndarray) -> np.ndarray:
            noise = rng.uniform(1 - self.jitter, 1 + self.jitter, len(rows))
            return rows[np.argsort(self.lengths[rows] * noise, kind="stable")]

        drawn = [by_length(rows) for _ in range(passes)]
        if rest:
            # The last utterance of an incomplete group must not be drawn again for the same group.
            incomplete = passes * len(rows) % self.group_size
            others = rows[~np.isin(rows, drawn[-1][-1:])] if incomplete else rows
            drawn.append(by_length(rng.permutation(others)[:rest]))
        return np.concatenate(drawn or [rows[:0]]).reshape(count, self.group_size)

    def longest(self) -> np.ndarray:
        """Returns [num_groups] frames, ascending: bounds on the longest utterances of an epoch's sorted groups."""
        bounds = []
        for rows, share in zip(self.rows, np.diff(self._ends, prepend=0), strict=True):
            most = int(np.ceil(share)) + 1
            repeats = -(-most * self.group_size // len(rows))
            bounds.append(np.repeat(np.sort(self.lengths[rows])[::-1], repeats)[:most])
        return np.sort(np.concatenate(bounds))[-self.num_groups :]
