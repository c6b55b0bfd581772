"""Reads the generator's shape and the mel from the args.json or config.json of a published vocoder."""

from dataclasses import fields
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import json5

from config.load import ConfigError, build_config
from config.schema import MelSettings
from models.vocoder.hifigan.config import GeneratorConfig, HiFiGANConfig
from utils.errors import UserError

_SHAPE_KEYS = tuple(f.name for f in fields(GeneratorConfig))
_MEL_KEYS = tuple(f.name for f in fields(MelSettings))
_JIK876_NAMES = {"sample_rate": "sampling_rate", "n_mel": "num_mels"}


class VocoderShape(NamedTuple):
    """Shape and mel from the description beside the weights."""

    generator: GeneratorConfig
    mel: dict[str, float]  # the fields of MelSettings that the description has, at least n_mel


def read_shape(path: Path) -> VocoderShape:
    """Reads shape and mel from jik876's config.json, or Amphion's or this toolkit's args.json.

    Raises:
        UserError: the file is unreadable, does not describe a HiFi-GAN, or lacks a key.
    """
    try:
        values = json5.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable JSON file: {error}", 2) from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: must hold one object: {{...}}", 2)
    section, shape, mel = _sections(values, path)
    missing = [f"{section}{key}" for key in _SHAPE_KEYS if key not in shape]
    if missing:
        raise UserError(f"{path}: no {', '.join(missing)}: the generator's shape is unknown", 2)
    if not isinstance(mel.get("n_mel"), int):
        raise UserError(f"{path}: no n_mel (or num_mels): the generator's shape is unknown", 2)
    config = _generator({key: shape[key] for key in _SHAPE_KEYS}, path)
    hop_size = prod(config.upsample_rates)
    if mel.get("hop_size", hop_size) != hop_size:
        raise UserError(f"{path}: hop_size is {mel['hop_size']}, but the product of upsample_rates is {hop_size}", 2)
    return VocoderShape(config, {"hop_size": hop_size, **mel})


def _sections(values: dict[str, Any], path: Path) -> tuple[str, dict[str, Any], dict[str, float]]:
    """Returns the name and values of the shape's section, and the known fields of the mel, for any kind of file."""
    if "upsample_rates" in values:  # jik876
        return "", values, _mel({key: _JIK876_NAMES.get(key, key) for key in _MEL_KEYS}, values, path)
    model, preprocess = values.get("model"), values.get("preprocess")
    names = {key: key for key in _MEL_KEYS}
    if not isinstance(model, dict) or not isinstance(preprocess, dict):
        raise UserError(f"{path}: not a HiFi-GAN: has neither upsample_rates nor the sections model and preprocess", 2)
    if "upsample_rates" in model:  # this toolkit
        return "model.", model, _mel(names, preprocess, path)
    if isinstance(model.get("hifigan"), dict) and model.get("generator", "hifigan") == "hifigan":  # Amphion
        return "model.hifigan.", model["hifigan"], _mel(names, preprocess, path)
    kind = model.get("generator") or values.get("model_type") or "a model without a hifigan section"
    raise UserError(f"{path}: describes {kind!r}, not a HiFi-GAN generator", 2)


def _mel(names: dict[str, str], values: dict[str, Any], path: Path) -> dict[str, float]:
    """Returns the fields of the mel that the file has. A null fmax means half the sample rate."""
    mel = {key: values[name] for key, name in names.items() if name in values}
    if "fmax" in mel and mel["fmax"] is None and "sample_rate" in mel:
        mel["fmax"] = mel["sample_rate"] / 2
    for key, value in mel.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"{path}: {names[key]}: expected a number, got {value!r}", 2)
    return mel


def _generator(shape: dict[str, Any], path: Path) -> GeneratorConfig:
    """Builds the shape with the checks of this toolkit's model section."""
    rates = shape["upsample_rates"]
    # The checks of the mel and of training do not matter here: frames and segments as long as the hop pass them.
    hop = prod(rates) if isinstance(rates, list) and all(isinstance(rate, int) for rate in rates) else 1
    sections = {"preprocess": {"hop_size": hop, "win_size": hop, "n_fft": hop}, "train": {"segment_size": hop}}
    try:
        config = build_config({"model_type": "HiFiGAN", "model": shape, **sections}, str(path))
    except ConfigError as error:
        raise UserError(str(error), 2) from None
    assert isinstance(config.model, HiFiGANConfig)
    return config.model.generator
