"""The speech in a recording: found from the recording alone, before anything is known of its phones.

Silence at the ends of a recording and long pauses inside it mislead an aligner: they can be most of the recording, and
the text does not mention them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

NO_SPEECH = "no speech was found"  # why an utterance is left out
_QUIET_SHARE = 10  # percentile of a band's frames that is its noise
_LOUD_SHARE = 95  # percentile of the frames that is loud; the maximum could be a click
_RANGE = 7.0  # nats (61 dB) below a band's loud frames: the noise is never taken to be lower, as with digital zeros
_SPEECH_SHARE = 0.3  # of the loud frames' height above the noise, from which a frame is speech
_SMALLEST = 0.5  # nats (4 dB) above the noise, on average over bands; less is not speech, however quiet the rest is
_STRONG_SHARE = 0.55  # of the loud frames' height: vowels reach it
_REACH = 0.25  # s; a weaker sound that is farther from a strong one is no consonant but a breath or noise of the room
_SMOOTHING = 0.05  # s
_SHORTEST_SILENCE = 0.2  # s; shorter ones are closures of stops, and pauses that an aligner has no trouble with
_SHORTEST_SPEECH = 0.06  # s; a shorter sound between two silences is a click
_MARGIN = 0.15  # s of a silence that are kept on each side of speech: it can hold soft sounds
_STEADY_WINDOW = 0.4  # s over which speech changes, and a hum does not
_STEADY = 0.35  # nats, the standard deviation over that window, on average over bands


class Silence(NamedTuple):
    """A silence of a recording, in frames of what is left of it once the middles of silences are cut out."""

    start: int
    end: int  # exclusive
    cut_at: int  # the frame before which frames are missing
    cut: int  # how many are missing


def speech_frames(mel: np.ndarray, seconds_per_frame: float) -> np.ndarray:
    """Whether each frame belongs to speech, short pauses and closures included.

    Each band's noise is its quietest frames, so that neither the level of the recording nor a steady noise matters.

    Args:
        mel: [T, n_mel] natural log amplitude, T at least 1.
        seconds_per_frame: hop size / sample rate.

    Returns:
        bool [T]; all False where nothing stands out from the noise.
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
    """The silences of a recording, and the frames in their middles that can go without touching speech.

    Args:
        mel: [T, n_mel] natural log amplitude, T at least 1.
        seconds_per_frame: hop size / sample rate.

    Returns:
        In order; None where there is no speech at all.
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
    """Cuts the silences out of a recording.

    Args:
        mel: [T, ...].
        silences: of `find_silences`.
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
    """Frames amid a sound that does not change: bool [T]."""
    height = np.maximum(mel - noise, 0).astype(np.float64)
    mean = uniform_filter1d(height, size, axis=0, mode="nearest")
    deviation = np.sqrt(np.maximum(uniform_filter1d(height**2, size, axis=0, mode="nearest") - mean**2, 0))
    steady = deviation.mean(axis=1) < _STEADY
    # A steady window is steady as a whole, not only in its middle.
    return maximum_filter1d(steady, size)


def _runs(flags: np.ndarray) -> list[tuple[int, int, bool]]:
    """Start, end and value of each run of equal values in bool [T]."""
    edges = [0, *(np.flatnonzero(np.diff(flags)) + 1).tolist(), len(flags)]
    return [(a, b, bool(flags[a])) for a, b in zip(edges, edges[1:], strict=False)]


def _without_short_runs(flags: np.ndarray, value: bool, shortest: int) -> np.ndarray:
    """The flags, with runs of `value` that are shorter than `shortest` frames inverted."""
    flags = flags.copy()
    for start, end, own in _runs(flags):
        if own == value and end - start < shortest:
            flags[start:end] = not value
    return flags
