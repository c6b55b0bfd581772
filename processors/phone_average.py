"""Averages frame values over the frames of each phone."""

from __future__ import annotations

import numpy as np


def phone_average(values: np.ndarray, durations: np.ndarray) -> np.ndarray:
    """Computes the mean of frame values over each phone.

    Args:
        values: float32 [T].
        durations: int32 [S], frames, with sum T.

    Returns:
        float32 [S]; 0 for a phone without frames.

    Raises:
        ValueError: the durations do not sum to T.
    """
    if int(durations.sum()) != len(values):
        raise ValueError(f"durations sum to {int(durations.sum())}, there are {len(values)} frames")
    sums = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    ends = np.cumsum(durations)
    totals = sums[ends] - sums[ends - durations]
    return np.divide(totals, durations, out=np.zeros(len(durations)), where=durations > 0).astype(np.float32)


def fill_unvoiced(pitch: np.ndarray) -> np.ndarray:
    """Fills unvoiced frames by linear interpolation; at the ends the nearest voiced value is held.

    Args:
        pitch: float32 [T], Hz, 0 = unvoiced.

    Returns:
        float32 [T]; all 0 if no frame is voiced.
    """
    voiced = np.flatnonzero(pitch > 0)
    if not len(voiced):
        return np.zeros_like(pitch)
    return np.interp(np.arange(len(pitch)), voiced, pitch[voiced]).astype(np.float32)
