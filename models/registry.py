"""model_type -> the trainer that stage 2 runs, imported only when it is asked for."""

import importlib
from typing import TYPE_CHECKING

from config.schema import ExpConfig

if TYPE_CHECKING:
    from models.trainer import Trainer

TRAINERS = {
    "FastSpeech2": "models.tts.fastspeech2.trainer.FastSpeech2Trainer",
    "HiFiGAN": "models.vocoder.hifigan.trainer.HiFiGANTrainer",
}


def trainer_class(config: ExpConfig) -> "type[Trainer]":
    """The trainer of the configured model."""
    module, _, name = TRAINERS[config.model_type].rpartition(".")
    return getattr(importlib.import_module(module), name)
