"""One recording -> the audio that a vocoder learns from."""

from __future__ import annotations

from pathlib import Path

from config.schema import VocoderPreprocessConfig
from processors.audio import load_waveform
from processors.extracted import Extracted
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
            Its `wav`, int16 [num_samples], a multiple of hop_size and at least n_fft.

        Raises:
            SkipUtterance: it cannot be used; the reason says why.
        """
        config = self._config
        wav, mended = load_waveform(utterance.wav_path, config.sample_rate, config.max_seconds)
        clip = trim_silence(wav, config.hop_size, config.trim_db)
        if len(clip) < config.n_fft:
            found = f"{len(clip)} samples without the silence at its ends, one window has {config.n_fft}"
            raise SkipUtterance("audio is too short", found)
        return Extracted({"num_samples": len(clip)}, {"wav": to_pcm16(clip)}, [(what, "") for what in mended])
