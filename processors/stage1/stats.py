"""Mean, standard deviation and range of pitch and energy over the phones of the training set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

OUTLIER_IQR = 1.5  # Tukey's fences
MIN_PHONES = 20  # a speaker with fewer phones has the statistics of the corpus

Statistics = dict[str, Any]  # the content of stats.json, as returned by corpus_statistics


def corpus_statistics(values: Mapping[str, Mapping[str, np.ndarray]]) -> Statistics:
    """Computes the statistics of each speaker, which normalize that speaker's phones, and of the corpus.

    Args:
        values: speaker -> "pitch" and "energy" -> float [N] as in `phone_statistics`.

    Returns:
        "pitch" and "energy": "mean" and "std" of the corpus, and the range, "min" and "max", of all z-scores. With
        several speakers also "speakers": speaker -> "pitch" and "energy" -> "mean" and "std".
    """
    features = ("pitch", "energy")
    corpus = {name: phone_statistics(np.concatenate([v[name] for v in values.values()])) for name in features}
    if len(values) == 1:
        return corpus
    speakers: dict[str, dict[str, dict[str, float]]] = {}
    for speaker, own in sorted(values.items()):
        of = {name: phone_statistics(own[name]) if len(own[name]) >= MIN_PHONES else corpus[name] for name in features}
        speakers[speaker] = {name: {key: of[name][key] for key in ("mean", "std")} for name in features}
    for name in features:
        scores = [
            (own[name] - speakers[speaker][name]["mean"]) / speakers[speaker][name]["std"]
            for speaker, own in values.items()
            if len(own[name])
        ]
        corpus[name] |= {"min": float(min(map(np.min, scores))), "max": float(max(map(np.max, scores)))}
    return {**corpus, "speakers": speakers}


def phone_statistics(values: np.ndarray) -> dict[str, float]:
    """Computes the statistics that normalize phone values (z-scores) and bound their quantization.

    As in the usual FastSpeech2 implementations, the mean and the standard deviation leave out outliers (octave errors,
    clicks): values more than 1.5 interquartile ranges from the quartiles. Unlike in some of them, the quartiles are
    those of all values, not of each utterance. The range covers every value, because every value is quantized.

    Args:
        values: float [N], for the phones that have frames; pitch in Hz with unvoiced frames interpolated.

    Returns:
        "mean" and "std" in the values' unit; "min" and "max" of the z-scored values.

    Raises:
        ValueError: there are no values.
    """
    if not len(values):
        raise ValueError("no phone values to compute statistics of")
    values = np.sort(
        np.asarray(values, dtype=np.float64)
    )  # sorted, so that the sums do not depend on the order of files
    low, high = np.percentile(values, (25, 75))
    fence = OUTLIER_IQR * (high - low)
    inside = values[(values >= low - fence) & (values <= high + fence)]
    mean, std = float(inside.mean()), float(inside.std())
    # In a corpus of one tone the deviation is only rounding noise, and dividing by it would amplify that.
    if std <= 1e-4 * abs(mean):
        std = 1.0
    return {"mean": mean, "std": std, "min": float((values[0] - mean) / std), "max": float((values[-1] - mean) / std)}
