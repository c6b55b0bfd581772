"""Phones and their durations in mel frames.

`utterance_alignment` is the one place that durations come from. It reads TextGrids: the corpus's own, or those that the
aligner of models/aligner wrote before.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from processors.skip import SkipUtterance
from utils.textgrid import Interval, TextGridError, read_phones

MAX_END_DIFFERENCE = 0.05  # s; a TextGrid that ends elsewhere than its audio belongs to another recording

# What aligners call silence (MFA 1: "sil", "sp", "spn"; MFA 2 and 3: "", "spn"; Kaldi: "SIL", "<eps>").
_SILENCES = frozenset({"", "sil", "sp", "<eps>"})
_NOISES = frozenset({"spn"})


class Alignment(NamedTuple):
    """The phones from the first phone's start to the last phone's end."""

    labels: list[str]  # phones as the aligner names them; pauses inside are "sp" or "spn"
    durations: np.ndarray  # int32 [len(labels)], frames
    first_frame: int  # frames cut off before the first phone; the cut mel has durations.sum() frames


def utterance_alignment(
    textgrid_path: Path | None, seconds: float, sample_rate: int, hop_size: int, num_frames: int
) -> Alignment:
    """The alignment of one utterance.

    Args:
        textgrid_path: its TextGrid; None where the corpus has none for it.
        seconds: length of the recording.
        sample_rate: Hz.
        hop_size: samples between frames.
        num_frames: frames of the whole recording.

    Raises:
        SkipUtterance: there is no TextGrid, it is broken, fits another recording, or has more phones than frames.
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
    """Intervals in seconds to durations in frames.

    Boundaries are rounded, never durations, so that the durations sum to the frames between the outermost boundaries
    exactly. A phone shorter than a frame may get none.

    Args:
        intervals: neighbors in order, without gaps.
        sample_rate: Hz.
        hop_size: samples between frames.
        num_frames: of the recording; no boundary is beyond.

    Raises:
        SkipUtterance: there is no phone, or there are more phones than frames.
    """
    names = [_name(interval.label) for interval in intervals]
    phones = [index for index, name in enumerate(names) if name not in ("sp", "spn")]
    if not phones:
        raise SkipUtterance("TextGrid has no phones")
    first, last = phones[0], phones[-1] + 1
    times = np.array([intervals[first].start, *(interval.end for interval in intervals[first:last])])
    # floor(x + 0.5), as numpy rounds halves to even, which would make equal phones unequal
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
