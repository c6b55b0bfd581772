"""Loads a published HiFi-GAN vocoder, strictly, with the weight norm folded."""

import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from models.vocoder.hifigan.layouts import find_shape, find_weights
from models.vocoder.hifigan.shape import read_shape
from models.vocoder.hifigan.vocoder import HiFiGANVocoder
from modules.hifigan import HiFiGANGenerator
from utils.errors import UserError

# The two halves of a weight-normed tensor: torch.nn.utils.weight_norm's names, then those of its parametrization.
_WEIGHT_NORM_NAMES = (
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)
_MAX_LISTED = 12


def load_vocoder(vocoder_dir: str | Path, device: torch.device | str = "cpu") -> HiFiGANVocoder:
    """Loads the generator of a vocoder folder in any layout that `models.vocoder.hifigan.layouts` knows.

    Args:
        vocoder_dir: the folder, a checkpoint folder inside it, or the weight file itself.
        device: where the vocoder is to run.

    Raises:
        UserError: the folder is no HiFi-GAN vocoder, its description lacks a key, or its weights do not fit the shape
            (every missing, extra and misshapen key is named).
    """
    candidates = find_weights(Path(vocoder_dir))
    shape_path = find_shape(candidates[0])
    shape = read_shape(shape_path)
    generator = HiFiGANGenerator(int(shape.mel["n_mel"]), **asdict(shape.generator))
    path, state = _generator_state(candidates)
    _check_fit(state, generator.state_dict(), path, shape_path)
    generator.load_state_dict(state)
    return HiFiGANVocoder(generator.to(device).eval().requires_grad_(False), shape.mel, str(vocoder_dir))


def fold_weight_norm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Replaces each pair g, v of a weight-normed tensor by w = g v / ||v|| (arXiv:1602.07868, eq. 2).

    The norm runs over all but the first dimension, for convolutions and transposed convolutions alike: PyTorch's
    default, with which the published weights were trained. A g or v without its partner stays: an extra key to report.
    """
    folded = dict(state)
    for g_name, v_name in _WEIGHT_NORM_NAMES:
        for key in [key for key in folded if key.endswith("." + g_name)]:
            stem = key.removesuffix(g_name)
            if stem + v_name in folded:
                g, v = folded.pop(key).double(), folded.pop(stem + v_name).double()
                norm = v.flatten(1).norm(dim=1).reshape(-1, *[1] * (v.dim() - 1))
                folded[stem + "weight"] = (g * v / norm).float()
    return folded


def _generator_state(candidates: list[Path]) -> tuple[Path, dict[str, Tensor]]:
    """The first file that holds a generator, and its folded float32 weights under the published names."""
    for path in candidates:
        state = {key.removeprefix("module."): value for key, value in _read(path).items()}
        if any(key.startswith("conv_pre.") for key in state):
            return path, {key: value.float() for key, value in fold_weight_norm(state).items()}
    names = ", ".join(path.name for path in candidates)
    raise UserError(f"{candidates[0].parent}: no HiFi-GAN generator in {names}", 2)


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a weight file; of a dictionary that holds several networks, the generator's."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, SafetensorError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not a readable weight file, or not one of tensors alone: {reason}", 2) from None
    for key in ("generator", "generator_state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no dictionary of weights", 2)
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}


def _check_fit(state: dict[str, Tensor], wanted: dict[str, Tensor], path: Path, shape_path: Path) -> None:
    problems = {
        "missing": sorted(wanted.keys() - state.keys()),
        "extra": sorted(state.keys() - wanted.keys()),
        "misshapen": [
            f"{key} {list(state[key].shape)} instead of {list(wanted[key].shape)}"
            for key in sorted(state.keys() & wanted.keys())
            if state[key].shape != wanted[key].shape
        ],
    }
    if any(problems.values()):
        parts = []
        for kind, keys in problems.items():
            if keys:
                more = f" and {len(keys) - _MAX_LISTED} more" if len(keys) > _MAX_LISTED else ""
                parts.append(f"{kind}: {', '.join(keys[:_MAX_LISTED])}{more}")
        raise UserError(f"{path}: does not fit the shape that {shape_path} gives; {'; '.join(parts)}", 2)
