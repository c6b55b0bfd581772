"""Loads a trained source-filter vocoder, strictly."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from config.load import ConfigError, build_config
from config.schema import MelSettings
from models.vocoder.hifigan.published.checkpoint_files import find_shape, find_weights
from models.vocoder.sourcefilter.config import SourceFilterConfig, SourceFilterGeneratorConfig
from models.vocoder.sourcefilter.generator import SourceFilterGenerator
from models.vocoder.sourcefilter.vocoder import SourceFilterVocoder
from utils.checkpoint import load_strict, read_weights, strip_module_prefix
from utils.errors import UserError
from utils.jsonl import read_json
from utils.logging import logger


class Trained(NamedTuple):
    """Shape and mel from the args.json of a vocoder's folder."""

    generator: SourceFilterGeneratorConfig
    mel: MelSettings


class Start(NamedTuple):
    """Weights from which a new training starts."""

    generator: dict[str, Tensor]
    adversary: dict[str, Tensor] | None  # None: the folder has no discriminators


def load_vocoder(vocoder_dir: str | Path, device: torch.device | str = "cpu") -> SourceFilterVocoder:
    """Loads the generator of an experiment, of one of its checkpoints, or of a weight file below its args.json.

    Args:
        vocoder_dir: the folder or file.
        device: where the vocoder will run; it uses single precision on every device.

    Raises:
        UserError: the folder has no such vocoder, or its weights do not fit the shape (the message names missing, extra
            and misshapen keys).
    """
    candidates = find_weights(Path(vocoder_dir))
    shape_path = find_shape(candidates[0])
    trained = read_shape(shape_path)
    generator = SourceFilterGenerator(trained.mel, **asdict(trained.generator))
    path, state = _generator_state(candidates)
    load_strict(generator, state, f"{path} (shape from {shape_path})")
    generator = generator.to(device).eval().requires_grad_(False)
    return SourceFilterVocoder(generator, asdict(trained.mel), str(vocoder_dir))


def read_shape(args_path: Path) -> Trained:
    """Reads shape and mel from an experiment's args.json.

    Raises:
        UserError: the file describes another model, or lacks a key.
    """
    values: Any = read_json(args_path)
    sections = {name: values.get(name) for name in ("model", "preprocess")} if isinstance(values, dict) else {}
    if not sections or values.get("model_type") != "SourceFilter":
        raise UserError(f"{args_path}: does not describe a source-filter vocoder", 2)
    try:
        config = build_config({"model_type": "SourceFilter", **sections}, str(args_path))
    except ConfigError as error:
        raise UserError(str(error), 2) from None
    assert isinstance(config.model, SourceFilterConfig)
    return Trained(config.model.generator, config.preprocess.mel)


def read_start(folder: Path, shape: SourceFilterGeneratorConfig, mel: MelSettings) -> Start:
    """Reads the weights of a trained vocoder from which a new training starts.

    Args:
        folder: any path that `load_vocoder` accepts.
        shape: of the generator to train.
        mel: on which it will be trained.

    Raises:
        UserError: the folder has no such vocoder, or one of another shape or mel; the message names the fields.
    """
    candidates = find_weights(folder)
    trained = read_shape(find_shape(candidates[0]))
    sections = (("model", trained.generator, shape), ("preprocess", trained.mel, mel))
    differing = [
        f"{section}.{name}: {value} in the folder, {asdict(configured)[name]} in the configuration"
        for section, stored, configured in sections
        for name, value in asdict(stored).items()
        if value != asdict(configured)[name]
    ]
    if differing:
        raise UserError(f"{folder}: this vocoder does not match the configuration: {'; '.join(differing)}", 2)
    path, state = _generator_state(candidates)
    discriminators = path.with_name("model_1.safetensors")
    if not discriminators.is_file():
        logger.warning("%s has no discriminators: new ones are trained.", path.parent)
    return Start(state, read_weights(discriminators) if discriminators.is_file() else None)


def _generator_state(candidates: list[Path]) -> tuple[Path, dict[str, Tensor]]:
    """Returns the first file that has a generator, and its weights."""
    for path in candidates:
        state = strip_module_prefix(read_weights(path))
        if any(key.startswith("pitch_head.") for key in state):
            return path, {key: value.float() for key, value in state.items()}
    names = ", ".join(path.name for path in candidates)
    raise UserError(f"{candidates[0].parent}: no source-filter generator in {names}", 2)
