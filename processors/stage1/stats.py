"""Mean, deviation and range of pitch and energy over the training set's phones."""

from __future__ import annotations

import numpy as np

OUTLIER_IQR = 1.5  # Tukey's fences


def phone_statistics(values: np.ndarray) -> dict[str, float]:
    """The figures that z-score phone values and bound their quantization.

    As in the usual FastSpeech2 implementations, outliers (octave errors, clicks) are left out of the mean and the
    deviation: values beyond 1.5 interquartile ranges from the quartiles. Unlike some of them, the fences are the whole
    corpus', not each utterance's. The range covers every value, as every value is quantized.

    Args:
        values: float [N], of phones that have frames; pitch in Hz with unvoiced frames interpolated.

    Returns:
        "mean" and "std" in the values' unit; "min" and "max" of the z-scored values.

    Raises:
        ValueError: there are no values.
    """
    if not len(values):
        raise ValueError("no phone values to take statistics of")
    values = np.sort(np.asarray(values, dtype=np.float64))  # sorted: the sums then depend on no order of files
    low, high = np.percentile(values, (25, 75))
    fence = OUTLIER_IQR * (high - low)
    inside = values[(values >= low - fence) & (values <= high + fence)]
    mean, std = float(inside.mean()), float(inside.std())
    # A corpus of one tone has no deviation; dividing by its rounding noise would blow that up.
    if std <= 1e-4 * abs(mean):
        std = 1.0
    return {"mean": mean, "std": std, "min": float((values[0] - mean) / std), "max": float((values[-1] - mean) / std)}
