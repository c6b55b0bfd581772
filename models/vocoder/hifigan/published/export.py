"""Export of a vocoder's generator for other programs, in the format of jik876/hifi-gan or as fused weights."""

import io
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from config.load import ConfigError, load_config
from config.schema import MelSettings
from models.vocoder.hifigan.config import HiFiGANTrainConfig
from models.vocoder.hifigan.load import load_vocoder
from models.vocoder.hifigan.published.checkpoint_files import find_shape, find_weights
from models.vocoder.hifigan.published.config_files import read_shape
from models.vocoder.resynthesis import mel_settings
from utils.atomic import write_bytes
from utils.checkpoint import save_weights
from utils.jsonl import write_json

_STEP = re.compile(r"(?:g_|.*step-)(\d+)")


def export_vocoder(vocoder_dir: Path, output_dir: Path, file_format: str) -> Path:
    """Writes the generator of any known vocoder folder into a new folder, which can be loaded as a vocoder too.

    "jik876" writes config.json and g_<step, 8 digits>, which hifi-gan's inference.py and the many programs based on it
    read; the weights have weight norm, which those programs remove. "safetensors" writes args.json, as this toolkit
    does, and model.safetensors with fused weights.

    Args:
        vocoder_dir: the vocoder to export; any path that --vocoder_dir accepts.
        output_dir: the folder to write to; created if it does not exist.
        file_format: "jik876" or "safetensors".

    Returns:
        The path of the weight file.

    Raises:
        UserError: the folder has no HiFi-GAN, or does not state all settings of its mel.
        OSError: a file cannot be written.
    """
    weights = find_weights(vocoder_dir)[0]
    shape_path = find_shape(weights)
    vocoder = load_vocoder(vocoder_dir)
    mel, step, state = mel_settings(vocoder), find_step(weights), vocoder.generator.state_dict()
    shape = asdict(read_shape(shape_path).generator)
    output_dir.mkdir(parents=True, exist_ok=True)
    # The weights are written last: after an interruption the folder has none, and does not load as a vocoder.
    if file_format == "jik876":
        write_json(output_dir / "config.json", {**_training(shape_path), **shape, **_jik876_mel(mel)})
        path = output_dir / f"g_{step:08d}"
        buffer = io.BytesIO()
        torch.save({"generator": weight_normed(state)}, buffer)
        write_bytes(path, buffer.getvalue())
    else:
        values = {"model_type": "HiFiGAN", "model": shape, "preprocess": asdict(mel)}
        write_json(output_dir / "args.json", values)
        path = output_dir / "model.safetensors"
        save_weights(path, state, {"step": step})
    return path


def weight_normed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Splits fused weights as torch.nn.utils.weight_norm does: g = ||w|| over all but the first dimension, v = w.

    A filter of zeros has no direction; it gets v = 1 and g = 0.
    """
    normed = {}
    for key, value in state.items():
        stem = key.removesuffix("weight")
        if stem == key:
            normed[key] = value
        else:
            norm = value.flatten(1).norm(dim=1).reshape(-1, *[1] * (value.dim() - 1))
            normed[f"{stem}weight_g"] = norm
            normed[f"{stem}weight_v"] = torch.where(norm > 0, value, 1.0)
    return normed


def find_step(weights: Path) -> int:
    """Returns the training step of a weight file from its name, its folder's name or its header; 0 if unknown."""
    for name in (weights.name, weights.resolve().parent.name):
        if match := _STEP.match(name):
            return int(match[1])
    if weights.suffix == ".safetensors":
        with safe_open(weights, framework="pt") as file:
            return int(json.loads((file.metadata() or {}).get("info", "{}")).get("step", 0))
    return 0


def _jik876_mel(mel: MelSettings) -> dict[str, Any]:
    """Returns the mel under the published names. num_freq is unused: all published files have 1025 with n_fft 1024."""
    values = {name: int(value) if value == int(value) else value for name, value in asdict(mel).items()}
    values["sampling_rate"], values["num_mels"] = values.pop("sample_rate"), values.pop("n_mel")
    return {"num_freq": mel.n_fft + 1, **values, "fmax_for_loss": None}


def _training(shape_path: Path) -> dict[str, Any]:
    """Returns the training keys of jik876's config.json: from an experiment of this toolkit, else the defaults."""
    try:
        train = load_config(shape_path).train
    except ConfigError:  # a published folder
        train = HiFiGANTrainConfig()
    assert isinstance(train, HiFiGANTrainConfig)
    return {
        "num_gpus": 0,
        "batch_size": train.batch_size,
        "learning_rate": train.adam.lr,
        "adam_b1": train.adam.betas[0],
        "adam_b2": train.adam.betas[1],
        "lr_decay": train.lr_decay,
        "seed": train.random_seed,
        "segment_size": train.segment_size,
        "num_workers": 4,
        "dist_config": {"dist_backend": "nccl", "dist_url": "tcp://localhost:54321", "world_size": 1},
    }
