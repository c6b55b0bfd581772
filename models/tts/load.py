"""Loads a trained acoustic model of any kind that this toolkit knows; the registry names its loader."""

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
    """A batch of B utterances, of T frames at most."""

    @property
    def mel_postnet(self) -> Tensor: ...  # [B, T, n_mel] log-mel, as the vocoder takes it

    @property
    def mel_lengths(self) -> Tensor: ...  # [B] int64 frames, at least 1

    @property
    def shortened(self) -> Tensor: ...  # [B] bool, the utterance was too long and is spoken faster


class AcousticModel(Protocol):
    """Phones to a mel, a torch.nn.Module. An utterance gives the same mel alone and in any batch."""

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
        """Speaks.

        Args:
            phone_ids: [B, S] int64, 0 on padding.
            phone_lengths: [B] int64.
            speaker_id: [B] int64; None where there is one speaker.
            pitch_control, energy_control, duration_control: factors on what the model predicts.
        """

    def to(self, device: torch.device | str) -> "AcousticModel": ...

    def eval(self) -> "AcousticModel": ...

    def requires_grad_(self, requires_grad: bool) -> "AcousticModel": ...


def load_acoustic_model(experiment: Experiment) -> tuple[AcousticModel, MelSettings]:
    """Loads the newest checkpoint, or the one whose folder was given; and the mel that it makes.

    Raises:
        UserError: there is no checkpoint, or its weights do not fit.
    """
    loaded: tuple[AcousticModel, MelSettings] = resolve(find_model(experiment.model_type).load)(experiment)
    return loaded


def own_weights(experiment: Experiment) -> Path:
    """The weights of an experiment of this toolkit: of the folder that was given, or of the newest checkpoint.

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
