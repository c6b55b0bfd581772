"""The registry of models: model_type -> package. A new model is one folder in models/ and one line here.

The table has the names of packages and imports none, so that a configuration can be checked without PyTorch.
"""

import importlib
from typing import Any, Literal, NamedTuple

MODELS = {
    "FastSpeech2": "models.tts.fastspeech2",
    "HiFiGAN": "models.vocoder.hifigan",
    "SourceFilter": "models.vocoder.sourcefilter",
}


class Model(NamedTuple):
    """The declaration of a model, `MODEL` in its package; dotted names are imported at their first use."""

    role: Literal["acoustic", "vocoder"]  # phones to mel, or mel to waveform
    model: type  # dataclass of the configuration's section "model"
    preprocess: type  # of the section "preprocess"
    train: type  # of the section "train"
    trainer: str  # dotted name of the models.training.trainer.Trainer that stage 2 runs
    load: str  # dotted name of the function that loads a trained model for stage 3


def find_model(model_type: str) -> Model:
    """Returns the declaration of a model.

    Raises:
        KeyError: `model_type` is not in `MODELS`.
    """
    return importlib.import_module(MODELS[model_type]).MODEL


def resolve(dotted_name: str) -> Any:
    """Imports the class or function that a declaration names, such as "models.tts.fastspeech2.load.load"."""
    module, _, name = dotted_name.rpartition(".")
    return getattr(importlib.import_module(module), name)
