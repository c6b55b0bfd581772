"""Which alignments to distrust: numbers for each utterance, and how far they lie from the corpus' own."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Score(NamedTuple):
    """How an alignment looks."""

    fit: float  # mean over phones of the log probability that its frames sound like it, pauses not counted; 0 is best
    longest_phone: float  # s, pauses not counted
    frames_per_phone: float  # pauses not counted


def utterance_score(
    path_log_probs: np.ndarray, durations: np.ndarray, is_pause: np.ndarray, seconds_per_frame: float
) -> Score:
    """The score of one utterance.

    Args:
        path_log_probs: float32 [T], of the path's symbol at each frame, among all symbols.
        durations: int64 [S], frames.
        is_pause: bool [S].
        seconds_per_frame: hop size / sample rate.
    """
    spoken = durations[~is_pause]
    # A mean over phones, not frames: in a text of another recording a few long phones swallow what does not fit.
    sums = np.add.reduceat(np.append(path_log_probs, 0.0), np.cumsum(durations) - durations)[~is_pause]
    return Score(
        float((sums / spoken).mean()), float(spoken.max() * seconds_per_frame), float(spoken.sum() / len(spoken))
    )


def misfits(fits: Sequence[float]) -> list[float]:
    """How many standard deviations each fit lies below the median, 0 where above.

    The deviation is the median's (1.4826 times the median absolute deviation), which a few misread texts do not move.
    It is at least 0.02, so that a corpus of nearly equal fits has no outlier.
    """
    values = np.asarray(fits)
    median = np.median(values)
    deviation = max(0.02, 1.4826 * float(np.median(np.abs(values - median))))
    return [float(max(0.0, (median - value) / deviation)) for value in values]
