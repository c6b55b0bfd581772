"""Loads a vocoder of any kind that this toolkit knows, its own or a published one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import json5
import torch
from torch import Tensor

from config.registry import MODELS, find_model, resolve
from config.schema import MelSettings
from models.vocoder.hifigan.published.checkpoint_files import find_shape, find_weights

PUBLISHED = "HiFiGAN"  # what a folder is whose description names no model of this toolkit


class Vocoder(Protocol):
    """Mels in, waveforms out. An utterance sounds the same alone and in any batch, whole and as a stream."""

    mel: dict[str, float]  # the known fields of the MelSettings that it was trained on
    source: str  # the folder, for messages

    def check_mel(self, acoustic: MelSettings) -> None:
        """Raises UserError where an acoustic model makes another mel than this vocoder was trained on."""

    def __call__(self, mel: Tensor, mel_lengths: Tensor) -> list[Tensor]:
        """A batch: log-mel [B, T, n_mel], frames [B] -> waveforms float32 [mel_lengths[i] * hop_size]."""

    def stream(self, mel: Tensor) -> Iterator[Tensor]:
        """One utterance from its start on: log-mel [T, n_mel] -> waveforms that follow each other."""


def load_vocoder(vocoder_dir: str | Path, device: torch.device | str = "cpu") -> Vocoder:
    """Loads the vocoder of a folder.

    Args:
        vocoder_dir: an experiment of this toolkit or a published HiFi-GAN, a checkpoint folder inside it, or the weight
            file itself.
        device: where the vocoder is to run.

    Raises:
        UserError: the folder is no vocoder's, its description lacks a key, or its weights do not fit.
    """
    load = resolve(find_model(model_type(Path(vocoder_dir))).load)
    vocoder: Vocoder = load(vocoder_dir, device)
    return vocoder


def model_type(vocoder_dir: Path) -> str:
    """The key of config.registry.MODELS of a vocoder's folder.

    Raises:
        UserError: nothing there is known as a vocoder.
    """
    description = find_shape(find_weights(vocoder_dir)[0])
    try:
        values = json5.loads(description.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return PUBLISHED  # whose loader says what is wrong with the file
    named = values.get("model_type") if isinstance(values, dict) else None
    if isinstance(named, str) and named in MODELS and find_model(named).role == "vocoder":
        return named
    return PUBLISHED
