"""Detects speech in a recording, without knowing its phones.

Silence at the ends of a recording and long pauses inside it mislead an aligner: they can be most of the recording, and
the text does not mention them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

NO_SPEECH = "no speech was found"  # reason for leaving out an utterance
_QUIET_SHARE = 10  # percentile of a band's frames that is taken as its noise
_LOUD_SHARE = 95  # percentile of the frames that is taken as loud; the maximum could be a click
_RANGE = 7.0  # nats (61 dB) below a band's loud frames: lower limit of the noise, needed for digital zeros
_SPEECH_SHARE = 0.3  # of the loud frames' height above the noise: a frame above it is speech
_SMALLEST = 0.5  # nats (4 dB) above the noise, averaged over bands; less is never speech
_STRONG_SHARE = 0.55  # of the loud frames' height: vowels reach it
_REACH = 0.25  # s; a weaker sound farther than this from a strong one is a breath or room noise, not a consonant
_SMOOTHING = 0.05  # s
_SHORTEST_SILENCE = 0.2  # s; shorter ones are closures of stops, or pauses that do not disturb an aligner
_SHORTEST_SPEECH = 0.06  # s; a shorter sound between two silences is a click
_MARGIN = 0.15  # s of silence kept on each side of speech, as they can contain soft sounds
_STEADY_WINDOW = 0.4  # s; within this time speech changes, and a hum does not
_STEADY = 0.35  # nats, standard deviation over that window, averaged over bands


class Silence(NamedTuple):
    """A silence of a recording, in frames of the recording with the middles of its silences cut out."""

    start: int
    end: int  # exclusive
    cut_at: int  # the frame before which frames were cut out
    cut: int  # number of frames cut out


def speech_frames(mel: np.ndarray, seconds_per_frame: float) -> np.ndarray:
    """Marks the frames that belong to speech, including short pauses and closures.

    The noise of a band is the level of its quietest frames, so that neither the level of the recording nor a steady
    noise matters.

    Args:
        mel: [T, n_mel] natural log amplitude, T at least 1.
        seconds_per_frame: hop size / sample rate.

    Returns:
        bool [T]; all False if nothing rises above the noise.
    """
    loud = np.percentile(mel, _LOUD_SHARE, axis=0)
    noise = np.maximum(np.percentile(mel, _QUIET_SHARE, axis=0), loud - _RANGE)
    height = np.maximum(mel - noise, 0).mean(axis=1)
    height = uniform_filter1d(height, _frames(_SMOOTHING, seconds_per_frame) | 1, mode="nearest")
    highest = float(np.percentile(height, _LOUD_SHARE))
    steady = _steady(mel, noise, _frames(_STEADY_WINDOW, seconds_per_frame) | 1)
    speech = (height > max(_SMALLEST, _SPEECH_SHARE * highest)) & ~steady
    strong = speech & (height > _STRONG_SHARE * highest)
    speech &= maximum_filter1d(strong, 2 * _frames(_REACH, seconds_per_frame) + 1)
    speech = _without_short_runs(speech, False, _frames(_SHORTEST_SILENCE, seconds_per_frame))
    return _without_short_runs(speech, True, _frames(_SHORTEST_SPEECH, seconds_per_frame))


def find_silences(mel: np.ndarray, seconds_per_frame: float) -> list[Silence] | None:
    """Finds the silences of a recording, and the frames in their middles that can be cut without affecting speech.

    Args:
        mel: [T, n_mel] natural log amplitude, T at least 1.
        seconds_per_frame: hop size / sample rate.

    Returns:
        The silences in order; None if there is no speech.
    """
    speech = speech_frames(mel, seconds_per_frame)
    if not speech.any():
        return None
    margin = _frames(_MARGIN, seconds_per_frame)
    silences, removed = [], 0
    for start, end, is_speech in _runs(speech):
        if is_speech:
            continue
        first = start if start == 0 else start + margin
        last = end if end == len(speech) else end - margin
        cut = max(0, last - first)
        silences.append(Silence(start - removed, end - removed - cut, first - removed, cut))
        removed += cut
    return silences


def cut_silences(mel: np.ndarray, silences: Sequence[Silence]) -> np.ndarray:
    """Cuts the middles of the silences out of a recording.

    Args:
        mel: [T, ...].
        silences: from `find_silences`.

    Returns:
        [T - number of frames cut out, ...].
    """
    kept = np.ones(len(mel), dtype=bool)
    removed = 0
    for silence in silences:
        first = silence.cut_at + removed
        kept[first : first + silence.cut] = False
        removed += silence.cut
    return mel[kept]


def _frames(seconds: float, seconds_per_frame: float) -> int:
    return max(1, round(seconds / seconds_per_frame))


def _steady(mel: np.ndarray, noise: np.ndarray, size: int) -> np.ndarray:
    """Marks the frames of sounds that do not change: bool [T]."""
    height = np.maximum(mel - noise, 0).astype(np.float64)
    mean = uniform_filter1d(height, size, axis=0, mode="nearest")
    deviation = np.sqrt(np.maximum(uniform_filter1d(height**2, size, axis=0, mode="nearest") - mean**2, 0))
    steady = deviation.mean(axis=1) < _STEADY
    # All frames of a steady window are steady, not only the one in the middle.
    return maximum_filter1d(steady, size)


def _runs(flags: np.ndarray) -> list[tuple[int, int, bool]]:
    """Returns start, end and value of each run of equal values in bool [T]."""
    edges = [0, *(np.flatnonzero(np.diff(flags)) + 1).tolist(), len(flags)]
    return [(a, b, bool(flags[a])) for a, b in zip(edges, edges[1:], strict=False)]


def _without_short_runs(flags: np.ndarray, value: bool, shortest: int) -> np.ndarray:
    """Inverts the runs of `value` that are shorter than `shortest` frames."""
    flags = flags.copy()
    for start, end, run_value in _runs(flags):
        if run_value == value and end - start < shortest:
            flags[start:end] = not value
    return flags
