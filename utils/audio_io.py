"""Audio files: reading, mixing down, resampling, writing."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import numpy as np
import soundfile
import soxr


class AudioError(Exception):
    """An audio file that cannot be used; `reason` is one of a few fixed texts, `detail` is about this file."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


def read_audio(path: Path, max_seconds: float | None = None) -> tuple[np.ndarray, int]:
    """Decodes a complete audio file.

    Args:
        path: a file in any format that libsndfile reads.
        max_seconds: limit on the duration, checked before the file is decoded; None: no limit.

    Returns:
        Samples, float32 [N, channels], full scale 1.
        The sample rate in Hz.

    Raises:
        AudioError: the file is not audio, is truncated, has no samples or is longer than max_seconds.
        OSError: the file is missing or cannot be read.
    """
    with path.open(
        "rb"
    ) as file:  # opened here, because libsndfile does not distinguish a missing file from a damaged one
        _refuse_truncated_wav(file.fileno())
        try:
            with soundfile.SoundFile(file) as audio:
                seconds = audio.frames / audio.samplerate
                if max_seconds is not None and seconds > max_seconds:
                    raise AudioError("longer than max_seconds", f"{seconds:.1f} s, the limit is {max_seconds:g} s")
                samples = audio.read(dtype="float32", always_2d=True)
                rate = audio.samplerate
        except soundfile.LibsndfileError as error:
            raise AudioError("audio cannot be decoded", error.error_string) from None
    if not len(samples):
        raise AudioError("audio is empty", "the file contains no samples")
    return samples, rate


def _refuse_truncated_wav(descriptor: int) -> None:
    """Raises AudioError for a RIFF file shorter than its header states; libsndfile reads one without an error."""
    size = os.fstat(descriptor).st_size
    if size == 0:
        raise AudioError("audio is empty", "the file has 0 bytes")
    if os.pread(descriptor, 4, 0) != b"RIFF":
        return
    offset = 12
    while offset + 8 <= size:
        name, length = struct.unpack("<4sI", os.pread(descriptor, 8, offset))
        if name == b"data":
            # Writers that cannot seek leave 0 or the largest number here: the length is unknown.
            if 0 < length < 0xFFFFFF00 and offset + 8 + length > size:
                present = 100 * (size - offset - 8) / length
                raise AudioError("audio is truncated", f"{present:.0f} % of the samples are present")
            return
        offset += 8 + length + length % 2
    raise AudioError("audio is truncated", "the file ends before its samples begin")


def mix_down(samples: np.ndarray) -> np.ndarray:
    """Averages the channels: float32 [N, channels] to [N]."""
    return np.ascontiguousarray(samples.mean(axis=1, dtype=np.float32))


def resample(wav: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Resamples float32 [N] from one rate to another (Hz) with soxr's quality HQ."""
    return soxr.resample(wav, rate, new_rate, quality="HQ") if rate != new_rate else wav


def to_pcm16(wav: np.ndarray) -> np.ndarray:
    """Converts float [N] of full scale 1 to int16; values beyond full scale are clipped, not wrapped around."""
    return np.clip(np.rint(np.asarray(wav, dtype=np.float64) * 32768), -32768, 32767).astype(np.int16)


def write_wav(path: Path, wav: np.ndarray, sample_rate: int) -> None:
    """Writes float [N] as 16-bit PCM.

    Values beyond full scale are clipped, not wrapped around: 1.0 becomes 32,767.

    Raises:
        OSError: the file cannot be written.
        ValueError: a sample is not finite.
    """
    if not np.isfinite(wav).all():
        raise ValueError(f"{path.name}: some samples are not finite")
    memory = io.BytesIO()  # libsndfile does not report a full disk; writing the bytes from Python raises OSError
    soundfile.write(memory, to_pcm16(wav), sample_rate, subtype="PCM_16", format="WAV")
    path.write_bytes(memory.getvalue())
