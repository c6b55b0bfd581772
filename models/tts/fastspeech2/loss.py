"""Training loss of FastSpeech 2 (arXiv:2006.04558, sec. 2.2, with the PostNet's mel as in Amphion)."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from models.tts.fastspeech2.model import FastSpeech2Output


class Targets(Protocol):
    """The fields of a batch that the loss needs."""

    @property
    def durations(self) -> Tensor: ...  # [B, S] int64 frames

    @property
    def pitch(self) -> Tensor: ...  # [B, S] float32 z-scores

    @property
    def energy(self) -> Tensor: ...  # [B, S] float32 z-scores

    @property
    def mel(self) -> Tensor: ...  # [B, T, n_mel] float32 log-mel


class LossWeights(NamedTuple):
    """Factors of the parts of the total loss."""

    mel: float = 1.0  # before and after the PostNet
    duration: float = 1.0
    pitch: float = 1.0
    energy: float = 1.0


EQUAL = LossWeights()


def fastspeech2_loss(
    output: FastSpeech2Output,
    batch: Targets,
    counts: Mapping[str, Tensor] | None = None,
    weights: LossWeights = EQUAL,
) -> dict[str, Tensor]:
    """Computes L1 of both mels and squared errors of pitch, energy and log(duration + 1), as means without padding.

    Args:
        output: the model's output for the durations of the batch.
        batch: targets.
        counts: "frames" and "phones", the divisors of the means; None: those of the batch.
        weights: factors of the parts in "total".

    Returns:
        Scalars, float32: "mel", "mel_postnet", "duration", "pitch", "energy" and their weighted sum "total".
    """
    phone_padding, mel_padding = output.phone_padding_mask, output.mel_padding_mask
    if counts is None:
        counts = {"frames": (~mel_padding).sum().clamp(min=1), "phones": (~phone_padding).sum().clamp(min=1)}

    def mel_loss(mel: Tensor) -> Tensor:
        error = (mel.float() - batch.mel.float()).abs().masked_fill(mel_padding.unsqueeze(-1), 0)
        return error.sum() / (counts["frames"] * mel.size(-1))

    def phone_loss(prediction: Tensor, target: Tensor) -> Tensor:
        error = F.mse_loss(prediction.float(), target.float(), reduction="none").masked_fill(phone_padding, 0)
        return error.sum() / counts["phones"]

    losses = {
        "mel": mel_loss(output.mel),
        "mel_postnet": mel_loss(output.mel_postnet),
        "duration": phone_loss(output.log_durations, torch.log(batch.durations + 1)),
        "pitch": phone_loss(output.pitch, batch.pitch),
        "energy": phone_loss(output.energy, batch.energy),
    }
    parts = {name: getattr(weights, name.removesuffix("_postnet")) * loss for name, loss in losses.items()}
    return {**losses, "total": torch.stack(list(parts.values())).sum()}
