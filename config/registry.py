"""The models: model_type -> the package that holds one. A new model is one folder in models/ and one line here.

The table names packages and imports none, so that a configuration is checked without PyTorch.
"""

import importlib
from typing import Any, Literal, NamedTuple

MODELS = {
    "FastSpeech2": "models.tts.fastspeech2",
    "HiFiGAN": "models.vocoder.hifigan",
    "SourceFilter": "models.vocoder.sourcefilter",
}


class Model(NamedTuple):
    """The declaration of a model, `MODEL` in its package; the dotted names are imported when they are first used."""

    role: Literal["acoustic", "vocoder"]  # phones to mel, or mel to waveform
    model: type  # the config's model section, a dataclass
    preprocess: type  # its preprocess section
    train: type  # its train section
    trainer: str  # dotted name of the models.training.trainer.Trainer that stage 2 runs
    load: str  # dotted name of the function that loads a trained one for stage 3


def find_model(model_type: str) -> Model:
    """The declaration of a model.

    Raises:
        KeyError: `model_type` is not in `MODELS`.
    """
    return importlib.import_module(MODELS[model_type]).MODEL


def resolve(dotted_name: str) -> Any:
    """Imports the class or function that a declaration names, such as "models.tts.fastspeech2.load.load"."""
    module, _, name = dotted_name.rpartition(".")
    return getattr(importlib.import_module(module), name)
