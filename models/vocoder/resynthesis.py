"""Resynthesis of recordings with a vocoder, and its distance from the recordings."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields, replace
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from config.schema import MelSettings
from models.vocoder.load import Vocoder
from modules.mel import MelSpectrogram
from utils.errors import UserError

# Clips per batch; a vocoder on a CPU synthesizes them one by one in any case.
CLIPS_AT_ONCE = {"cuda": 16, "cpu": 1}


class Clip(NamedTuple):
    """Input of the resynthesis: a mel, a recording, or both."""

    utt_id: str
    wav: Tensor | None  # float32 [N] at the vocoder's sample rate, N at least n_fft
    mel: Tensor | None  # float32 [T, n_mel] log amplitude, T at least 1; None: the recording's


class Resynthesis(NamedTuple):
    """Output of the resynthesis of one clip."""

    utt_id: str
    wav: np.ndarray  # float32 [T * hop_size]
    mel_distance: float | None  # mean absolute distance of the full-band log-mels; None without a recording


class Resynthesizer:
    """Resynthesizes clips with a vocoder and measures the distance that validation reports."""

    def __init__(self, vocoder: Vocoder, device: torch.device | str) -> None:
        """Stores the vocoder.

        Args:
            vocoder: on the device.
            device: of the vocoder.
        """
        self.vocoder, self.device = vocoder, torch.device(device)
        self._spectrograms: tuple[MelSpectrogram, MelSpectrogram] | None = None

    def resynthesize(self, clips: Iterable[Clip]) -> Iterator[Resynthesis]:
        """Yields the resynthesis of clips, in their order.

        Args:
            clips: read one batch at a time.

        Raises:
            UserError: a clip has no mel, and the vocoder's folder does not state all settings of its mel; or the
                vocoder produced samples that are not numbers.
        """
        batch: list[Clip] = []
        for clip in clips:
            batch.append(clip)
            if len(batch) == CLIPS_AT_ONCE.get(self.device.type, 1):
                yield from self._resynthesize(batch)
                batch = []
        if batch:
            yield from self._resynthesize(batch)

    @torch.inference_mode()
    def _resynthesize(self, batch: list[Clip]) -> list[Resynthesis]:
        mels = [self._mel(clip) for clip in batch]
        lengths = torch.tensor([len(mel) for mel in mels])
        waves = self.vocoder(torch.nn.utils.rnn.pad_sequence(mels, batch_first=True), lengths.to(self.device))
        results = []
        for clip, wave in zip(batch, waves, strict=True):
            if not wave.isfinite().all():
                raise UserError(f"{clip.utt_id}: the vocoder produced samples that are not numbers: check its mel")
            distance = None if clip.wav is None else self._distance(clip.wav.to(self.device), wave)
            results.append(Resynthesis(clip.utt_id, wave.cpu().numpy(), distance))
        return results

    def _mel(self, clip: Clip) -> Tensor:
        """Returns the vocoder's input for a clip, [T, n_mel]."""
        if clip.mel is not None:
            return clip.mel.to(self.device)
        assert clip.wav is not None
        return self._mels()[0](clip.wav.to(self.device)[None])[0]

    def _distance(self, recording: Tensor, resynthesis: Tensor) -> float:
        """Computes the distance of two waveforms [N]; the longer one is cut."""
        length = min(len(recording), len(resynthesis))
        full_band = self._mels()[1]
        pair = full_band(torch.stack([recording[:length], resynthesis[:length]]))
        return float(F.l1_loss(pair[1], pair[0]))

    def _mels(self) -> tuple[MelSpectrogram, MelSpectrogram]:
        """Returns the vocoder's mel, and the same with bands up to half the sample rate."""
        if self._spectrograms is None:
            mel = mel_settings(self.vocoder)
            full = replace(mel, fmax=mel.sample_rate / 2)
            vocoder_mel, full_band = (MelSpectrogram(**asdict(settings)).to(self.device) for settings in (mel, full))
            self._spectrograms = vocoder_mel, full_band
        return self._spectrograms


def mel_settings(vocoder: Vocoder) -> MelSettings:
    """Returns the settings of the mel that a vocoder was trained on.

    Raises:
        UserError: its folder does not state all of them.
    """
    names = [field.name for field in fields(MelSettings)]
    missing = [name for name in names if name not in vocoder.mel]
    if missing:
        raise UserError(f"{vocoder.source} does not state {', '.join(missing)}: its input mel cannot be computed", 2)
    values: dict[str, Any] = {name: vocoder.mel[name] for name in names}
    return MelSettings(**values)
