"""The part of a recording that an utterance's features were made of."""

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

# Of a frame's log mel, mean over the bands: 0.9 dB. Of 32 clips of LJSpeech none moves by more than 3e-5 where it is
# computed in float64, nor by more than 0.06 where it is dithered again; 1 ms of delay makes 0.13 at least.
TOLERANCE = 0.1
MEND = "put the old one back, or run stages 1 and 2 of the acoustic model again"


class AlignedAudio:
    """Reads recordings as stage 1 did."""

    def __init__(self, config: AudioConfig) -> None:
        """Makes the spectrogram to compare recordings with.

        Args:
            config: the preprocess section that the features were made with.
        """
        self._config = config
        self._spectrogram = MelSpectrogram(**asdict(config.mel))

    @torch.inference_mode()
    def read(self, wav_path: Path, first_frame: int, mel: torch.Tensor) -> np.ndarray:
        """Cuts a recording as stage 1 cut its mel.

        Args:
            wav_path: the recording.
            first_frame: of the features, counted from the recording's start.
            mel: float32 [T, n_mel], what stage 1 made of it.

        Returns:
            int16 [T * hop_size].

        Raises:
            SkipUtterance: the recording cannot be read or is another one by now, or the features are shorter than a
                window.
        """
        config = self._config
        wav, _ = load_waveform(wav_path, config.sample_rate, config.max_seconds)
        frames = slice(first_frame, first_frame + len(mel))
        start, stop = frames.start * config.hop_size, frames.stop * config.hop_size
        if stop > len(wav):
            detail = f"{len(wav)} samples, {stop} were there; {MEND}"
            raise SkipUtterance("recording is shorter than its features", detail, transient=True)
        if stop - start < config.n_fft:
            detail = f"{stop - start} samples from the first phone to the last, one window has {config.n_fft}"
            raise SkipUtterance("audio is too short", detail)
        difference = (self._spectrogram(torch.from_numpy(wav)[None])[0, frames] - mel).abs().mean(1).max()
        if not difference <= TOLERANCE:
            raise SkipUtterance("recording is not the one that its features were made of", MEND, transient=True)
        return to_pcm16(wav[start:stop])
