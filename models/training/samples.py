"""Validation samples in TensorBoard: mels as pictures, waveforms as sounds."""

from collections.abc import Callable, Mapping

import numpy as np
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from config.schema import AudioConfig
from utils.plot import plot_mels

RECORDED = "recorded"  # name of what does not change from one validation to the next


class Samples:
    """Writes the samples; a recording is written once."""

    def __init__(self, audio: AudioConfig) -> None:
        """Remembers the rates.

        Args:
            audio: the preprocess section.
        """
        self._sample_rate = audio.sample_rate
        self._seconds_per_frame = audio.hop_size / audio.sample_rate
        self._written: set[str] = set()

    def write(
        self,
        writer: SummaryWriter,
        step: int,
        utt_id: str,
        title: str,
        mels: Mapping[str, Tensor],
        sound: Callable[[str], Tensor],
    ) -> None:
        """Writes one utterance.

        Args:
            writer: of the experiment.
            step: of the training.
            utt_id: names the utterance.
            title: of the picture.
            mels: name ("synthesized", RECORDED) -> [T, n_mel] log-mel.
            sound: makes the waveform [N] of a name; it is clipped to -1..1.
        """
        arrays: dict[str, np.ndarray] = {name: mel.float().cpu().numpy() for name, mel in mels.items()}
        writer.add_figure(f"mel/{utt_id}", plot_mels(arrays, title, self._seconds_per_frame), step)
        for name in mels:
            tag = f"{name}/{utt_id}"
            if name == RECORDED and tag in self._written:
                continue
            self._written.add(tag)
            writer.add_audio(tag, sound(name).clamp(-1, 1), step, self._sample_rate)
