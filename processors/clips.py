"""Makes the clip that a vocoder is trained on from one recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from config.schema import PitchedVocoderPreprocessConfig, VocoderPreprocessConfig
from processors.audio import load_waveform
from processors.extracted import Extracted
from processors.pitch import extract_pitch
from processors.skip import SkipUtterance
from processors.trim import trim_silence
from utils.audio_io import to_pcm16
from utils.utterance import Utterance


class ClipExtractor:
    """Makes clips from recordings; texts are not used."""

    def __init__(self, config: VocoderPreprocessConfig) -> None:
        """Makes clips of the format that a config asks for.

        Args:
            config: the preprocess section.
        """
        self._config = config

    def extract(self, utterance: Utterance, _: Path | None = None) -> Extracted:
        """Resamples a recording and trims the silence at its ends; the level is unchanged.

        Args:
            utterance: the recording; its text is not used.

        Returns:
            `wav`, int16 [num_samples], where num_samples is a multiple of hop_size and at least n_fft. For a vocoder
            that needs it, also `pitch`, float32 [num_samples // hop_size], Hz, 0 = unvoiced.

        Raises:
            SkipUtterance: the recording cannot be used; the reason is in the exception.
        """
        config = self._config
        wav, fixes = load_waveform(utterance.wav_path, config.sample_rate, config.max_seconds)
        clip = trim_silence(wav, config.hop_size, config.trim_db)
        if len(clip) < config.n_fft:
            detail = f"{len(clip)} samples without the silence at its ends, one window has {config.n_fft}"
            raise SkipUtterance("audio is too short", detail)
        arrays: dict[str, np.ndarray] = {"wav": to_pcm16(clip)}
        if isinstance(config, PitchedVocoderPreprocessConfig):
            arrays["pitch"] = clip_pitch(config, arrays["wav"])
        return Extracted({"num_samples": len(clip)}, arrays, [(what, "") for what in fixes])


def clip_pitch(config: PitchedVocoderPreprocessConfig, wav: np.ndarray) -> np.ndarray:
    """Computes the pitch of a clip.

    Args:
        config: the preprocess section.
        wav: int16 [num_samples].

    Returns:
        float32 [num_samples // hop_size], Hz, 0 = unvoiced.
    """
    samples = wav.astype(np.float32) / 32768
    return extract_pitch(
        config.pitch_extractor, samples, config.sample_rate, config.hop_size, config.f0_min, config.f0_max
    )
