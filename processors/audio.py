"""Reads a recording as a mono waveform at the configured sample rate, and checks it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from processors.skip import SkipUtterance
from utils.audio_io import AudioError, mix_down, read_audio, resample

SILENCE_PEAK = 1e-4  # -80 dBFS: below the dither of a 16-bit recording chain, so there is no speech
FULL_SCALE = 0.9999  # 32,765 of 32,768: the level that a clipping converter writes
CLIPPED_RUN = 4  # this many neighboring samples at full scale are not a natural peak


def load_waveform(path: Path, sample_rate: int, max_seconds: float) -> tuple[np.ndarray, list[str]]:
    """Reads, checks, mixes down and resamples one recording.

    Args:
        path: audio file.
        sample_rate: of the result, Hz.
        max_seconds: a longer recording is rejected.

    Returns:
        The samples, float32 [N] with full scale 1, and a phrase for each thing that was fixed or is doubtful.

    Raises:
        SkipUtterance: the file is missing, damaged, empty, silent or too long, or has samples that are not finite.
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
    fixes = []
    if _is_clipped(samples):
        fixes.append("audio is clipped (kept as it is)")
    if samples.shape[1] > 1:
        fixes.append(f"mixed down from {samples.shape[1]} channels")
    wav = mix_down(samples) if samples.shape[1] > 1 else samples[:, 0]
    if rate != sample_rate:
        fixes.append(f"resampled from {rate} Hz")
        wav = resample(wav, rate, sample_rate)
    if not len(wav) or np.abs(wav).max() < SILENCE_PEAK:
        raise SkipUtterance("audio is silent", "no sample above -80 dBFS")
    return np.ascontiguousarray(wav, dtype=np.float32), fixes


def _is_clipped(samples: np.ndarray) -> bool:
    """Whether any channel of [N, channels] stays at full scale for `CLIPPED_RUN` samples."""
    full = np.abs(samples) >= FULL_SCALE
    if full.sum() < CLIPPED_RUN:
        return False
    runs = full[: len(full) - CLIPPED_RUN + 1].copy()
    for shift in range(1, CLIPPED_RUN):
        runs &= full[shift : len(full) - CLIPPED_RUN + 1 + shift]
    return bool(runs.any())
