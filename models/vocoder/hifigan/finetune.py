"""Weights of a trained HiFi-GAN, published or our own, for a new training."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from config.schema import MelSettings
from models.vocoder.hifigan.config import GeneratorConfig
from models.vocoder.hifigan.load import load_vocoder
from models.vocoder.hifigan.published.checkpoint_files import find_shape, find_weights
from models.vocoder.hifigan.published.config_files import read_shape
from modules.weight_norm import current_names
from utils.checkpoint import read_weights, strip_module_prefix
from utils.errors import UserError
from utils.logging import logger


class Start(NamedTuple):
    """Weights to start from."""

    generator: dict[str, Tensor]  # fused
    adversary: dict[str, Tensor] | None  # None: the folder has no discriminators


def read_start(folder: Path, shape: GeneratorConfig, mel: MelSettings) -> Start:
    """Reads a vocoder's folder of any known kind.

    Args:
        folder: as --vocoder_dir takes it.
        shape: of the generator to start.
        mel: that it is to be trained on.

    Raises:
        UserError: the folder holds no HiFi-GAN, or one of another shape or mel; the fields are named.
    """
    weights = find_weights(folder)[0]
    trained = read_shape(find_shape(weights))
    theirs = {**{f"model.{k}": v for k, v in asdict(trained.generator).items()}, **_prefixed(trained.mel)}
    ours = {**{f"model.{k}": v for k, v in asdict(shape).items()}, **_prefixed(asdict(mel))}
    different = [f"{key}: {theirs[key]} there, {ours[key]} here" for key in theirs if theirs[key] != ours[key]]
    if different:
        raise UserError(f"{folder}: not the vocoder of this configuration; {'; '.join(different)}", exit_code=2)
    return Start(load_vocoder(folder).generator.state_dict(), _read_adversary(weights))


def _prefixed(mel: dict[str, float]) -> dict[str, object]:
    return {f"preprocess.{key}": value for key, value in mel.items()}


def _read_adversary(weights: Path) -> dict[str, Tensor] | None:
    """The discriminators beside a generator's file: this toolkit's model_1.safetensors, or jik876's do_02500000."""
    own = weights.with_name("model_1.safetensors")
    if own.is_file():
        state = read_weights(own)
        if all(key.startswith(("mpd.", "msd.")) for key in state):  # else Amphion's, who numbers its models otherwise
            return state
    published = weights.with_name(f"do_{weights.name.removeprefix('g_')}")
    if published.is_file() and published != weights:
        state = read_weights(published)
        if "mpd" in state and "msd" in state:
            nested: dict[str, Any] = dict(state)
            parts = {part: strip_module_prefix(nested[part]) for part in ("mpd", "msd")}
            return current_names({f"{part}.{key}": v for part, tensors in parts.items() for key, v in tensors.items()})
    logger.warning("%s has no discriminators: new ones are trained, and take a while to catch up.", weights.parent)
    return None
