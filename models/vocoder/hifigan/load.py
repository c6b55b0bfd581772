"""Loads a trained or published HiFi-GAN vocoder, strictly, with the weight norm folded."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.vocoder.hifigan.generator import HiFiGANGenerator
from models.vocoder.hifigan.published.checkpoint_files import find_shape, find_weights
from models.vocoder.hifigan.published.config_files import read_shape
from models.vocoder.hifigan.vocoder import HiFiGANVocoder
from modules.weight_norm import fold_weight_norm
from utils.checkpoint import load_strict, read_weights, strip_module_prefix
from utils.errors import UserError


def load_vocoder(vocoder_dir: str | Path, device: torch.device | str = "cpu") -> HiFiGANVocoder:
    """Loads the generator of a vocoder folder in any layout that `published.checkpoint_files` knows.

    Args:
        vocoder_dir: the folder, a checkpoint folder inside it, or a weight file.
        device: where the vocoder will run; on a GPU it uses half precision.

    Raises:
        UserError: the folder has no HiFi-GAN vocoder, its description lacks a key, or its weights do not fit the shape
            (the message names missing, extra and misshapen keys).
    """
    candidates = find_weights(Path(vocoder_dir))
    shape_path = find_shape(candidates[0])
    shape = read_shape(shape_path)
    generator = HiFiGANGenerator(int(shape.mel["n_mel"]), **asdict(shape.generator))
    path, state = _generator_state(candidates)
    load_strict(generator, state, f"{path} (shape from {shape_path})")
    # Half precision on a GPU: rounding errors of float16 are 58 dB below the speech, those of bfloat16 only 40 dB.
    dtype = torch.float16 if torch.device(device).type == "cuda" else torch.float32
    return HiFiGANVocoder(generator.to(device, dtype).eval().requires_grad_(False), shape.mel, str(vocoder_dir))


def _generator_state(candidates: list[Path]) -> tuple[Path, dict[str, Tensor]]:
    """Returns the first file that has a generator, and its folded float32 weights under the published names."""
    for path in candidates:
        state = strip_module_prefix(_generator_of(read_weights(path)))
        if any(key.startswith("conv_pre.") for key in state):
            return path, {key: value.float() for key, value in fold_weight_norm(state).items()}
    names = ", ".join(path.name for path in candidates)
    raise UserError(f"{candidates[0].parent}: no HiFi-GAN generator in {names}", 2)


def _generator_of(content: dict[str, Any]) -> dict[str, Tensor]:
    """Returns the tensors by name; only the generator's if the file has several networks."""
    for key in ("generator", "generator_state_dict"):
        if isinstance(content.get(key), dict):
            content = content[key]
    return {key: value for key, value in content.items() if isinstance(value, Tensor)}
