"""Reads the part of a recording that the features of an utterance were computed from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from config.schema import AudioConfig
from modules.mel import MelSpectrogram
from processors.audio import load_waveform
from processors.skip import SkipUtterance
from utils.audio_io import to_pcm16

# Largest difference of a frame's log mel, averaged over the bands: 0.9 dB. Over 32 recordings of LJSpeech, computing in
# float64 changes it by at most 3e-5 and dithering again by at most 0.06; a delay of 1 ms changes it by at least 0.13.
TOLERANCE = 0.1
MEND = "put the old one back, or run stages 1 and 2 of the acoustic model again"


class AlignedAudio:
    """Reads recordings as stage 1 did, and checks that they are still the same."""

    def __init__(self, config: AudioConfig) -> None:
        """Builds the mel filters that recordings are checked with.

        Args:
            config: the preprocess section that the features were computed with.
        """
        self._config = config
        self._spectrogram = MelSpectrogram(**asdict(config.mel))

    @torch.inference_mode()
    def read(self, wav_path: Path, first_frame: int, mel: torch.Tensor) -> np.ndarray:
        """Returns the samples that belong to the mel of an utterance.

        Args:
            wav_path: the recording.
            first_frame: first frame of the features, counted from the start of the recording.
            mel: float32 [T, n_mel], from stage 1.

        Returns:
            int16 [T * hop_size].

        Raises:
            SkipUtterance: the recording cannot be read or has changed, or the features are shorter than a window.
        """
        config = self._config
        wav, _ = load_waveform(wav_path, config.sample_rate, config.max_seconds)
        frames = slice(first_frame, first_frame + len(mel))
        start, stop = frames.start * config.hop_size, frames.stop * config.hop_size
        if stop > len(wav):
            detail = f"{len(wav)} samples, the features need {stop}; {MEND}"
            raise SkipUtterance("recording is shorter than its features", detail, transient=True)
        if stop - start < config.n_fft:
            detail = f"{stop - start} samples from the first phone to the last, one window has {config.n_fft}"
            raise SkipUtterance("audio is too short", detail)
        difference = (self._spectrogram(torch.from_numpy(wav)[None])[0, frames] - mel).abs().mean(1).max()
        if not difference <= TOLERANCE:
            raise SkipUtterance("recording is not the one that its features were made of", MEND, transient=True)
        return to_pcm16(wav[start:stop])
