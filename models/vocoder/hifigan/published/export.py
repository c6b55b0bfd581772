"""A vocoder's generator, written for other programs: as jik876/hifi-gan wrote it, or as bare fused weights."""

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
    """Writes the generator of a vocoder's folder of any known kind into a folder that is a vocoder's folder itself.

    "jik876" gives config.json and g_<step, 8 digits>: what hifi-gan's inference.py and the many programs that follow
    it read, with the weight norm that they take off again. "safetensors" gives args.json, as this toolkit writes it,
    and model.safetensors with fused weights.

    Args:
        vocoder_dir: what to export, as --vocoder_dir takes it.
        output_dir: where to; made where it is missing.
        file_format: "jik876" or "safetensors".

    Returns:
        The file with the weights.

    Raises:
        UserError: the folder holds no HiFi-GAN, or does not state all of its mel.
        OSError: a file cannot be written.
    """
    weights = find_weights(vocoder_dir)[0]
    shape_path = find_shape(weights)
    vocoder = load_vocoder(vocoder_dir)
    mel, step, state = mel_settings(vocoder), find_step(weights), vocoder.generator.state_dict()
    shape = asdict(read_shape(shape_path).generator)
    output_dir.mkdir(parents=True, exist_ok=True)
    # The weights come last: a folder that is cut short has none, and is no vocoder's folder.
    if file_format == "jik876":
        write_json(output_dir / "config.json", {**_training(shape_path), **shape, **_jik876_mel(mel)})
        path = output_dir / f"g_{step:08d}"
        memory = io.BytesIO()
        torch.save({"generator": weight_normed(state)}, memory)
        write_bytes(path, memory.getvalue())
    else:
        values = {"model_type": "HiFiGAN", "model": shape, "preprocess": asdict(mel)}
        write_json(output_dir / "args.json", values)
        path = output_dir / "model.safetensors"
        save_weights(path, state, {"step": step})
    return path


def weight_normed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Fused weights as torch.nn.utils.weight_norm keeps them: g = ||w|| over all but the first dimension, v = w.

    A filter of zeros has no direction: it gets some, of length 0.
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
    """The training step of a weight file, from its name, its folder's or its own header; 0 where nothing says."""
    for name in (weights.name, weights.resolve().parent.name):
        if match := _STEP.match(name):
            return int(match[1])
    if weights.suffix == ".safetensors":
        with safe_open(weights, framework="pt") as file:
            return int(json.loads((file.metadata() or {}).get("info", "{}")).get("step", 0))
    return 0


def _jik876_mel(mel: MelSettings) -> dict[str, Any]:
    """The mel in the published names; nothing reads num_freq, which is 1025 beside an n_fft of 1024 in all of them."""
    values = {name: int(value) if value == int(value) else value for name, value in asdict(mel).items()}
    values["sampling_rate"], values["num_mels"] = values.pop("sample_rate"), values.pop("n_mel")
    return {"num_freq": mel.n_fft + 1, **values, "fmax_for_loss": None}


def _training(shape_path: Path) -> dict[str, Any]:
    """The training keys of jik876's config.json, with this toolkit's values if the folder is one of its experiments."""
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
