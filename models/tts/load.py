"""Loads a trained acoustic model of any registered type; the registry names its loader."""

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from config.registry import find_model, resolve
from config.schema import MelSettings
from models.tts.experiment import Experiment
from utils.checkpoint import list_checkpoints
from utils.errors import UserError


class AcousticOutput(Protocol):
    """A batch of B utterances of up to T frames."""

    @property
    def mel_postnet(self) -> Tensor: ...  # [B, T, n_mel] log-mel, the input of the vocoder

    @property
    def mel_lengths(self) -> Tensor: ...  # [B] int64 frames, at least 1

    @property
    def shortened(self) -> Tensor: ...  # [B] bool, True where an utterance was too long and is spoken faster


class AcousticModel(Protocol):
    """A torch.nn.Module from phones to a mel. An utterance's mel does not depend on the rest of its batch."""

    num_speakers: int

    def __call__(
        self,
        phone_ids: Tensor,
        phone_lengths: Tensor,
        *,
        speaker_id: Tensor | None,
        pitch_control: float,
        energy_control: float,
        duration_control: float,
    ) -> AcousticOutput:
        """Predicts the mels of a batch.

        Args:
            phone_ids: [B, S] int64, 0 on padding.
            phone_lengths: [B] int64.
            speaker_id: [B] int64; None if the model has one speaker.
            pitch_control, energy_control, duration_control: factors on the predicted values.
        """

    def to(self, device: torch.device | str) -> "AcousticModel": ...

    def eval(self) -> "AcousticModel": ...

    def requires_grad_(self, requires_grad: bool) -> "AcousticModel": ...


def load_acoustic_model(experiment: Experiment) -> tuple[AcousticModel, MelSettings]:
    """Loads the given checkpoint, or the newest one if the folder is an experiment.

    Returns:
        The model, and the settings of the mel that it predicts.

    Raises:
        UserError: there is no checkpoint, or its weights do not match the model.
    """
    loaded: tuple[AcousticModel, MelSettings] = resolve(find_model(experiment.model_type).load)(experiment)
    return loaded


def own_weights(experiment: Experiment) -> Path:
    """Returns the weights file of an experiment of this toolkit: of the given checkpoint, or of the newest one.

    Raises:
        UserError: there is no checkpoint.
    """
    weights = experiment.folder / "model.safetensors"
    if not weights.is_file():
        checkpoints = list_checkpoints(experiment.root / "checkpoint")
        if not checkpoints:
            raise UserError(
                f"{experiment.root}: no checkpoint yet; train first: "
                f"sh egs/tts/FastSpeech2/run.sh --stage 2 --name {experiment.root.name} --resume"
            )
        weights = checkpoints[-1][1] / "model.safetensors"
    return weights
