"""Recordings -> mel -> waveforms: what a vocoder makes of speech, and how far from it that is."""

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

# Clips that a GPU gets together; a CPU makes them one by one in any case.
CLIPS_AT_ONCE = {"cuda": 16, "cpu": 1}


class Clip(NamedTuple):
    """Something to synthesize: a mel, a recording, or both."""

    utt_id: str
    wav: Tensor | None  # float32 [N] at the vocoder's sample rate, N at least n_fft
    mel: Tensor | None  # float32 [T, n_mel] log amplitude, T at least 1; None: the recording's own


class Resynthesis(NamedTuple):
    """The resynthesis of a clip."""

    utt_id: str
    wav: np.ndarray  # float32 [T * hop_size]
    mel_distance: float | None  # mean absolute distance of the full-band log-mels; None without a recording


class Resynthesizer:
    """Resynthesizes clips with a vocoder. The distance is the one that validation reports."""

    def __init__(self, vocoder: Vocoder, device: torch.device | str) -> None:
        """Remembers the vocoder.

        Args:
            vocoder: on the device.
            device.
        """
        self.vocoder, self.device = vocoder, torch.device(device)
        self._spectrograms: tuple[MelSpectrogram, MelSpectrogram] | None = None

    def resynthesize(self, clips: Iterable[Clip]) -> Iterator[Resynthesis]:
        """Resynthesizes clips, in their order.

        Args:
            clips: drawn as they are needed.

        Raises:
            UserError: a clip has no mel, and the vocoder's folder does not state all that its mel depends on; or the
                vocoder made samples that are not numbers.
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
        made = []
        for clip, wave in zip(batch, waves, strict=True):
            if not wave.isfinite().all():
                raise UserError(f"{clip.utt_id}: the vocoder made samples that are not numbers: are its mels right?")
            distance = None if clip.wav is None else self._distance(clip.wav.to(self.device), wave)
            made.append(Resynthesis(clip.utt_id, wave.cpu().numpy(), distance))
        return made

    def _mel(self, clip: Clip) -> Tensor:
        """The vocoder's input for a clip, [T, n_mel]."""
        if clip.mel is not None:
            return clip.mel.to(self.device)
        assert clip.wav is not None
        return self._mels()[0](clip.wav.to(self.device)[None])[0]

    def _distance(self, recording: Tensor, made: Tensor) -> float:
        """Of two waveforms [N]; the longer one is cut."""
        length = min(len(recording), len(made))
        full_band = self._mels()[1]
        pair = full_band(torch.stack([recording[:length], made[:length]]))
        return float(F.l1_loss(pair[1], pair[0]))

    def _mels(self) -> tuple[MelSpectrogram, MelSpectrogram]:
        """The vocoder's own mel, and the same with bands up to half the sample rate."""
        if self._spectrograms is None:
            mel = mel_settings(self.vocoder)
            full = replace(mel, fmax=mel.sample_rate / 2)
            own, full_band = (MelSpectrogram(**asdict(settings)).to(self.device) for settings in (mel, full))
            self._spectrograms = own, full_band
        return self._spectrograms


def mel_settings(vocoder: Vocoder) -> MelSettings:
    """The mel that a vocoder was trained on.

    Raises:
        UserError: its folder does not state all of it.
    """
    names = [field.name for field in fields(MelSettings)]
    missing = [name for name in names if name not in vocoder.mel]
    if missing:
        raise UserError(
            f"{vocoder.source} does not state {', '.join(missing)}: the mel that it wants cannot be computed", 2
        )
    values: dict[str, Any] = {name: vocoder.mel[name] for name in names}
    return MelSettings(**values)
