"""Scores of alignments, to find wrong ones by comparison with the rest of the corpus and with fixed limits."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

WORST = 20  # number of alignments that the report lists, each with a picture


class Score(NamedTuple):
    """Scores of one alignment."""

    fit: float  # mean over phones, without pauses, of the mean log probability of their frames; 0 is best
    longest_phone: float  # s
    one_frame_share: float  # share of the phones that last a single frame, 0 to 1
    phones_per_second: float  # pauses excluded
    silence_share: float  # share of the recording, 0 to 1
    misfit: float = 0.0  # from `misfits`
    agreement: float | None = None  # from `models.aligner.halves`, 0 to 1; None if the corpus is too small


# Limits of `doubts`, from corpora with correct and with shuffled texts: 300 utterances of flite (clean; with silence;
# with noise up to 15 dB below the speech), 108 of LJSpeech, 80 of LibriSpeech, 46 of VCTK. With correct texts,
# utterances had at most 31 % phones of one frame, an agreement of at least 0.73 and a fit of at least -4.7. With
# shuffled texts, 95 % of them had at least 68 %, at most 0.61 and at most -4.7.
MOST_ONE_FRAME = 0.5
LEAST_AGREEMENT = 0.65
LEAST_FIT = -5.5
PHONES_PER_SECOND = (4.0, 28.0)
MOST_SILENCE = 0.95  # correct texts had at most 0.89, with silence of twice the speech's length and pauses of 5 s


def utterance_score(
    path_log_probs: np.ndarray,
    durations: np.ndarray,
    is_pause: np.ndarray,
    seconds: float,
    seconds_per_frame: float,
) -> Score:
    """Computes the score of one alignment.

    Args:
        path_log_probs: float32 [T], log probability of the path's symbol at each frame, among all symbols.
        durations: int64 [S], frames.
        is_pause: bool [S].
        seconds: length of the whole recording.
        seconds_per_frame: hop size / sample rate.
    """
    spoken = durations[~is_pause]
    # A mean over phones, not frames: in a wrong text, a few long phones absorb all that does not fit.
    sums = np.add.reduceat(np.append(path_log_probs, 0.0), np.cumsum(durations) - durations)[~is_pause]
    spoken_seconds = float(spoken.sum()) * seconds_per_frame
    return Score(
        fit=float((sums / spoken).mean()),
        longest_phone=float(spoken.max()) * seconds_per_frame,
        one_frame_share=float((spoken == 1).mean()),
        phones_per_second=len(spoken) / spoken_seconds,
        silence_share=max(0.0, 1 - spoken_seconds / seconds),
    )


def doubts(score: Score) -> list[str]:
    """Returns reasons to distrust an alignment, regardless of the rest of the corpus; empty if there are none."""
    reasons = []
    if score.one_frame_share > MOST_ONE_FRAME:
        reasons.append(f"{score.one_frame_share:.0%} of its phones last one frame")
    if score.agreement is not None and score.agreement < LEAST_AGREEMENT:
        reasons.append(f"the other half of the corpus puts {1 - score.agreement:.0%} of its phones elsewhere")
    if score.fit < LEAST_FIT:
        reasons.append(f"its log probability per phone is {score.fit:.1f}")
    if score.silence_share > MOST_SILENCE:
        reasons.append(f"{score.silence_share:.0%} of the recording is silence")
    if not PHONES_PER_SECOND[0] <= score.phones_per_second <= PHONES_PER_SECOND[1]:
        reasons.append(f"{score.phones_per_second:.1f} phones per second")
    return reasons


def misfits(fits: Sequence[float]) -> list[float]:
    """Computes by how many standard deviations each fit is below the median; 0 if it is above.

    The deviation is a robust one (1.4826 times the median absolute deviation), which a few misread texts do not change.
    It is at least 0.02, so that a corpus of nearly equal fits has no outlier.
    """
    values = np.asarray(fits)
    median = np.median(values)
    deviation = max(0.02, 1.4826 * float(np.median(np.abs(values - median))))
    return [float(max(0.0, (median - value) / deviation)) for value in values]
