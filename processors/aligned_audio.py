"""The part of a recording that an utterance's features were made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from config.schema import AudioConfig
from processors.audio import load_waveform
from processors.skip import SkipUtterance
from utils.audio_io import to_pcm16


def aligned_audio(wav_path: Path, first_frame: int, num_frames: int, config: AudioConfig) -> np.ndarray:
    """Reads a recording as stage 1 did, and cuts it as stage 1 cut its mel.

    Args:
        wav_path: the recording.
        first_frame: of the features, counted from the recording's start.
        num_frames: of the features.
        config: the preprocess section that the features were made with.

    Returns:
        int16 [num_frames * hop_size].

    Raises:
        SkipUtterance: the recording cannot be read, is shorter than its features, or they are shorter than a window.
    """
    wav, _ = load_waveform(wav_path, config.sample_rate, config.max_seconds)
    start, stop = first_frame * config.hop_size, (first_frame + num_frames) * config.hop_size
    if stop > len(wav):
        raise SkipUtterance("recording is shorter than its features", f"{len(wav)} samples, {stop} were there")
    if stop - start < config.n_fft:
        found = f"{stop - start} samples from the first phone to the last, one window has {config.n_fft}"
        raise SkipUtterance("audio is too short", found)
    return to_pcm16(wav[start:stop])
