"""Magnitude spectrogram -> energy, one value a mel frame."""

from __future__ import annotations

import numpy as np


def frame_energy(magnitude: np.ndarray) -> np.ndarray:
    """The L2 norm of each frame's magnitudes (FastSpeech 2, arXiv:2006.04558, sec. 2.3).

    Args:
        magnitude: float32 [T, n_fft // 2 + 1], the mel's own.

    Returns:
        float32 [T].
    """
    return np.sqrt(np.square(magnitude, dtype=np.float32).sum(axis=1, dtype=np.float32))
