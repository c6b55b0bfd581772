"""model_type -> the trainer that stage 2 runs, imported only when it is asked for."""

import importlib
from typing import TYPE_CHECKING

from config.schema import ExpConfig
from utils.errors import UserError

if TYPE_CHECKING:
    from models.trainer import Trainer

TRAINERS = {"FastSpeech2": "models.tts.fastspeech2.trainer.FastSpeech2Trainer"}


def trainer_class(config: ExpConfig) -> "type[Trainer]":
    """The trainer of the configured model.

    Raises:
        UserError: no trainer is registered for the model type.
    """
    if config.model_type not in TRAINERS:
        raise UserError(
            f"model_type: {config.model_type!r} cannot be trained; one of {', '.join(TRAINERS)}", exit_code=2
        )
    module, _, name = TRAINERS[config.model_type].rpartition(".")
    return getattr(importlib.import_module(module), name)
