"""Validation samples in TensorBoard: mels as images, waveforms as audio."""

from collections.abc import Callable, Mapping

import numpy as np
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from config.schema import AudioConfig
from utils.plot import plot_mels

RECORDED = "recorded"  # name of the mel and waveform that are the same at every validation


class Samples:
    """Writes the samples; the audio of a recording is written only once."""

    def __init__(self, audio: AudioConfig) -> None:
        """Takes the sample rate and the hop size.

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
        """Writes the mels and waveforms of one utterance.

        Args:
            writer: writer of the experiment.
            step: current training step.
            utt_id: id of the utterance.
            title: title of the image.
            mels: name ("synthesized", RECORDED) -> [T, n_mel] log-mel.
            sound: returns the waveform [N] of a name; it is clipped to -1..1.
        """
        arrays: dict[str, np.ndarray] = {name: mel.float().cpu().numpy() for name, mel in mels.items()}
        writer.add_figure(f"mel/{utt_id}", plot_mels(arrays, title, self._seconds_per_frame), step)
        for name in mels:
            tag = f"{name}/{utt_id}"
            if name == RECORDED and tag in self._written:
                continue
            self._written.add(tag)
            writer.add_audio(tag, sound(name).clamp(-1, 1), step, self._sample_rate)
