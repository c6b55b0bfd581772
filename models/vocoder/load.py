"""Loads any supported vocoder, trained with this toolkit or published."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import json5
import torch
from torch import Tensor

from config.registry import MODELS, find_model, resolve
from config.schema import MelSettings
from models.vocoder.hifigan.published.checkpoint_files import find_shape, find_weights

PUBLISHED = "HiFiGAN"  # assumed for a folder whose description names no model of this toolkit


class Vocoder(Protocol):
    """Turns log-mels into waveforms. An utterance sounds the same alone and in any batch, whole and as a stream."""

    mel: dict[str, float]  # the known fields of its MelSettings
    source: str  # the vocoder's folder, for messages

    def check_mel(self, acoustic: MelSettings) -> None:
        """Compares an acoustic model's mel with the one that this vocoder was trained on.

        Raises:
            UserError: they differ.
        """

    def __call__(self, mel: Tensor, mel_lengths: Tensor) -> list[Tensor]:
        """Synthesizes a batch: log-mel [B, T, n_mel], frames [B] -> waveforms, float32 [mel_lengths[i] * hop_size]."""

    def stream(self, mel: Tensor) -> Iterator[Tensor]:
        """Synthesizes one utterance chunk by chunk: log-mel [T, n_mel] -> consecutive waveforms."""


def load_vocoder(vocoder_dir: str | Path, device: torch.device | str = "cpu") -> Vocoder:
    """Loads the vocoder of a folder.

    Args:
        vocoder_dir: an experiment of this toolkit or a published HiFi-GAN, a checkpoint folder inside it, or the weight
            file itself.
        device: where the vocoder will run.

    Raises:
        UserError: the folder has no vocoder, its description lacks a key, or its weights do not fit.
    """
    load = resolve(find_model(model_type(Path(vocoder_dir))).load)
    vocoder: Vocoder = load(vocoder_dir, device)
    return vocoder


def model_type(vocoder_dir: Path) -> str:
    """Returns the key in config.registry.MODELS of a folder's vocoder.

    Raises:
        UserError: the folder has no known vocoder.
    """
    description = find_shape(find_weights(vocoder_dir)[0])
    try:
        values = json5.loads(description.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return PUBLISHED  # its loader reports the error in the file
    name = values.get("model_type") if isinstance(values, dict) else None
    if isinstance(name, str) and name in MODELS and find_model(name).role == "vocoder":
        return name
    return PUBLISHED
