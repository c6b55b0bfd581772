"""Energy per mel frame, from a magnitude spectrogram."""

from __future__ import annotations

import numpy as np


def frame_energy(magnitude: np.ndarray) -> np.ndarray:
    """Computes the L2 norm of each frame's magnitudes (FastSpeech 2, arXiv:2006.04558, sec. 2.3).

    Args:
        magnitude: float32 [T, n_fft // 2 + 1], the spectrogram that the mel was computed from.

    Returns:
        float32 [T].
    """
    return np.sqrt(np.square(magnitude, dtype=np.float32).sum(axis=1, dtype=np.float32))
