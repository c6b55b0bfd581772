"""One recording -> the audio that a vocoder learns from."""

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
    """Reads recordings, whatever is said in them."""

    def __init__(self, config: VocoderPreprocessConfig) -> None:
        """Takes the settings."""
        self._config = config

    def extract(self, utterance: Utterance, _: Path | None = None) -> Extracted:
        """The recording at the configured rate, without silence at its ends, as loud as it is.

        Args:
            utterance: what to read; its text does not matter.

        Returns:
            Its `wav`, int16 [num_samples], a multiple of hop_size and at least n_fft; and its `pitch`, float32
            [num_samples // hop_size] Hz, 0 = unvoiced, where the vocoder learns from it.

        Raises:
            SkipUtterance: it cannot be used; the reason says why.
        """
        config = self._config
        wav, mended = load_waveform(utterance.wav_path, config.sample_rate, config.max_seconds)
        clip = trim_silence(wav, config.hop_size, config.trim_db)
        if len(clip) < config.n_fft:
            detail = f"{len(clip)} samples without the silence at its ends, one window has {config.n_fft}"
            raise SkipUtterance("audio is too short", detail)
        arrays: dict[str, np.ndarray] = {"wav": to_pcm16(clip)}
        if isinstance(config, PitchedVocoderPreprocessConfig):
            arrays["pitch"] = clip_pitch(config, arrays["wav"])
        return Extracted({"num_samples": len(clip)}, arrays, [(what, "") for what in mended])


def clip_pitch(config: PitchedVocoderPreprocessConfig, wav: np.ndarray) -> np.ndarray:
    """The pitch of a clip.

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
