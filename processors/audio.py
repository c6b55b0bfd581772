"""A corpus's audio file -> mono waveform at the features' sample rate, checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from processors.skip import SkipUtterance
from utils.audio_io import AudioError, mix_down, read_audio, resample

SILENCE_PEAK = 1e-4  # -80 dBFS: below the dither of a 16-bit recording chain, nothing is spoken there
FULL_SCALE = 0.9999  # 32,765 of 32,768: what a clipping converter writes
CLIPPED_RUN = 4  # this many neighboring samples at full scale are no natural peak


def load_waveform(path: Path, sample_rate: int, max_seconds: float) -> tuple[np.ndarray, list[str]]:
    """Reads, checks, mixes down and resamples one recording.

    Args:
        path: audio file.
        sample_rate: Hz, of the result.
        max_seconds: a longer recording is refused.

    Returns:
        float32 [N], full scale is 1, and what was mended or is doubtful about it, a phrase each.

    Raises:
        SkipUtterance: the file is missing, damaged, empty, silent, too long, or holds samples that are not numbers.
    """
    try:
        samples, rate = read_audio(path, max_seconds)
    except FileNotFoundError:
        raise SkipUtterance("audio is missing", path.name) from None
    except OSError as error:
        raise SkipUtterance("audio cannot be read", str(error.strerror), transient=True) from None
    except AudioError as error:
        raise SkipUtterance(error.reason, error.detail) from None
    if not np.isfinite(samples).all():
        raise SkipUtterance(
            "audio has samples that are not numbers", f"{np.sum(~np.isfinite(samples))} NaN or infinite"
        )
    mended = []
    if _is_clipped(samples):
        mended.append("audio is clipped (kept as it is)")
    if samples.shape[1] > 1:
        mended.append(f"mixed down from {samples.shape[1]} channels")
    wav = mix_down(samples) if samples.shape[1] > 1 else samples[:, 0]
    if rate != sample_rate:
        mended.append(f"resampled from {rate} Hz")
        wav = resample(wav, rate, sample_rate)
    if not len(wav) or np.abs(wav).max() < SILENCE_PEAK:
        raise SkipUtterance("audio is silent", "no sample above -80 dBFS")
    return np.ascontiguousarray(wav, dtype=np.float32), mended


def _is_clipped(samples: np.ndarray) -> bool:
    """Whether some channel of [N, channels] stays at full scale for `CLIPPED_RUN` samples."""
    full = np.abs(samples) >= FULL_SCALE
    if full.sum() < CLIPPED_RUN:
        return False
    runs = full[: len(full) - CLIPPED_RUN + 1].copy()
    for shift in range(1, CLIPPED_RUN):
        runs &= full[shift : len(full) - CLIPPED_RUN + 1 + shift]
    return bool(runs.any())
