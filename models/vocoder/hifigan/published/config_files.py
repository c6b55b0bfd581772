"""A published vocoder's args.json or config.json -> the generator's shape and the mel it was trained on."""

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
    """The description beside the weights."""

    generator: GeneratorConfig
    mel: dict[str, float]  # the fields of MelSettings that the description has; n_mel is always there


def read_shape(path: Path) -> VocoderShape:
    """Reads the shape from jik876's config.json, or Amphion's or this toolkit's args.json.

    Raises:
        UserError: the file is unreadable, describes no HiFi-GAN, or lacks a key.
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
        raise UserError(f"{path}: no {', '.join(missing)}: the generator's shape cannot be known", 2)
    if not isinstance(mel.get("n_mel"), int):
        raise UserError(f"{path}: no n_mel (or num_mels): the generator's shape cannot be known", 2)
    config = _generator({key: shape[key] for key in _SHAPE_KEYS}, path)
    hop_size = prod(config.upsample_rates)
    if mel.get("hop_size", hop_size) != hop_size:
        raise UserError(f"{path}: hop_size is {mel['hop_size']}, but upsample_rates make {hop_size} samples a frame", 2)
    return VocoderShape(config, {"hop_size": hop_size, **mel})


def _sections(values: dict[str, Any], path: Path) -> tuple[str, dict[str, Any], dict[str, float]]:
    """The shape's section (its name, its values) and the mel's known fields, wherever this kind of file keeps them."""
    if "upsample_rates" in values:  # jik876
        return "", values, _mel({key: _JIK876_NAMES.get(key, key) for key in _MEL_KEYS}, values, path)
    model, preprocess = values.get("model"), values.get("preprocess")
    names = {key: key for key in _MEL_KEYS}
    if not isinstance(model, dict) or not isinstance(preprocess, dict):
        raise UserError(f"{path}: describes no HiFi-GAN: no upsample_rates, and no sections model and preprocess", 2)
    if "upsample_rates" in model:  # this toolkit
        return "model.", model, _mel(names, preprocess, path)
    if isinstance(model.get("hifigan"), dict) and model.get("generator", "hifigan") == "hifigan":  # Amphion
        return "model.hifigan.", model["hifigan"], _mel(names, preprocess, path)
    kind = model.get("generator") or values.get("model_type") or "a model without a hifigan section"
    raise UserError(f"{path}: describes {kind!r}, not a HiFi-GAN generator", 2)


def _mel(names: dict[str, str], values: dict[str, Any], path: Path) -> dict[str, float]:
    """The mel's fields that the file has. A null fmax stands for half the sample rate."""
    mel = {key: values[name] for key, name in names.items() if name in values}
    if "fmax" in mel and mel["fmax"] is None and "sample_rate" in mel:
        mel["fmax"] = mel["sample_rate"] / 2
    for key, value in mel.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"{path}: {names[key]}: expected a number, got {value!r}", 2)
    return mel


def _generator(shape: dict[str, Any], path: Path) -> GeneratorConfig:
    """The shape through the same checks as our own config's model section."""
    rates = shape["upsample_rates"]
    # Neither the mel nor training is the matter here: any frame and any segment as long as the hop passes.
    hop = prod(rates) if isinstance(rates, list) and all(isinstance(rate, int) for rate in rates) else 1
    sections = {"preprocess": {"hop_size": hop, "win_size": hop, "n_fft": hop}, "train": {"segment_size": hop}}
    try:
        config = build_config({"model_type": "HiFiGAN", "model": shape, **sections}, str(path))
    except ConfigError as error:
        raise UserError(str(error), 2) from None
    assert isinstance(config.model, HiFiGANConfig)
    return config.model.generator
