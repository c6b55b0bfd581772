"""Trims silence from the ends of a recording."""

from __future__ import annotations

import numpy as np

MARGIN = 2  # frames kept on each side of the loud part (23 ms at the default hop), for soft onsets


def trim_silence(wav: np.ndarray, hop_size: int, trim_db: float | None) -> np.ndarray:
    """Cuts silence off both ends, in whole frames of hop_size samples counted from the start of the recording.

    The remaining mel frames are therefore at the same positions as in the whole recording.

    Args:
        wav: float32 [N].
        hop_size: samples in a frame.
        trim_db: frames at the ends that are this much quieter (RMS) than the loudest one are silence; None: trim
            nothing.

    Returns:
        float32 [M], a part of wav; M is a multiple of hop_size.
    """
    num_frames = len(wav) // hop_size
    if trim_db is None or num_frames == 0:
        return wav[: num_frames * hop_size]
    power = np.square(wav[: num_frames * hop_size].reshape(num_frames, hop_size)).mean(axis=1, dtype=np.float64)
    loud = np.flatnonzero(power >= power.max() * 10 ** (-trim_db / 10))
    first, last = max(0, loud[0] - MARGIN), min(num_frames, loud[-1] + 1 + MARGIN)
    return wav[first * hop_size : last * hop_size]
