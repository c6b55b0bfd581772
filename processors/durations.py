"""Phones and their durations in mel frames.

All durations come from `utterance_alignment`, which reads TextGrids: those of the corpus, or those that the aligner in
models/aligner has written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from processors.skip import SkipUtterance
from utils.textgrid import Interval, TextGridError, read_phones

MAX_END_DIFFERENCE = 0.05  # s; beyond it, a TextGrid belongs to another recording

# Aligners' labels for silence and noise (MFA 1: "sil", "sp", "spn"; MFA 2 and 3: "", "spn"; Kaldi: "SIL", "<eps>").
_SILENCES = frozenset({"", "sil", "sp", "<eps>"})
_NOISES = frozenset({"spn"})


class Alignment(NamedTuple):
    """The phones of an utterance and their durations, from the first phone to the last."""

    labels: list[str]  # phones as named by the aligner; pauses between them are "sp" or "spn"
    durations: np.ndarray  # int32 [len(labels)], frames
    first_frame: int  # number of frames before the first phone; the cut mel has durations.sum() frames


def utterance_alignment(
    textgrid_path: Path | None, seconds: float, sample_rate: int, hop_size: int, num_frames: int
) -> Alignment:
    """Reads the alignment of one utterance.

    Args:
        textgrid_path: its TextGrid, if there is one.
        seconds: length of the recording.
        sample_rate: Hz.
        hop_size: samples between frames.
        num_frames: frames of the whole recording.

    Raises:
        SkipUtterance: the TextGrid is missing or broken, belongs to another recording, or has more phones than frames.
    """
    if textgrid_path is None:
        raise SkipUtterance("TextGrid is missing")
    try:
        intervals = read_phones(textgrid_path)
    except FileNotFoundError:
        raise SkipUtterance("TextGrid is missing") from None
    except OSError as error:
        raise SkipUtterance("TextGrid cannot be read", str(error.strerror), transient=True) from None
    except TextGridError as error:
        raise SkipUtterance("TextGrid is broken", str(error)) from None
    end = intervals[-1].end if intervals else 0.0
    if abs(end - seconds) > MAX_END_DIFFERENCE:
        raise SkipUtterance("TextGrid and audio differ in length", f"{end:.3f} s and {seconds:.3f} s")
    return align(intervals, sample_rate, hop_size, num_frames)


def align(intervals: Sequence[Interval], sample_rate: int, hop_size: int, num_frames: int) -> Alignment:
    """Converts intervals in seconds to durations in frames.

    Boundaries are rounded, not durations, so that the sum of the durations is exactly the number of frames between the
    outermost boundaries. A phone shorter than a frame may get none.

    Args:
        intervals: in order, without gaps.
        sample_rate: Hz.
        hop_size: samples between frames.
        num_frames: frames of the whole recording; boundaries are clipped to it.

    Raises:
        SkipUtterance: there is no phone, or there are more phones than frames.
    """
    names = [_name(interval.label) for interval in intervals]
    phones = [index for index, name in enumerate(names) if name not in ("sp", "spn")]
    if not phones:
        raise SkipUtterance("TextGrid has no phones")
    first, last = phones[0], phones[-1] + 1
    times = np.array([intervals[first].start, *(interval.end for interval in intervals[first:last])])
    # floor(x + 0.5): np.round rounds halves to even, so phones of equal length would differ
    bounds = np.clip(np.floor(times * sample_rate / hop_size + 0.5), 0, num_frames).astype(np.int64)
    bounds = np.maximum.accumulate(bounds)
    durations = np.diff(bounds).astype(np.int32)
    if durations.sum() < len(phones):
        raise SkipUtterance("more phones than frames", f"{len(phones)} phones in {durations.sum()} frames")
    return Alignment(names[first:last], durations, int(bounds[0]))


def _name(label: str) -> str:
    lowered = label.lower()
    if lowered in _SILENCES:
        return "sp"
    return "spn" if lowered in _NOISES else label
