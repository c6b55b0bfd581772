"""Reads the weights of a trained HiFi-GAN, from this toolkit or published, for a new training."""

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
    """Weights from which a new training starts."""

    generator: dict[str, Tensor]  # fused
    adversary: dict[str, Tensor] | None  # None: the folder has no discriminators


def read_start(folder: Path, shape: GeneratorConfig, mel: MelSettings) -> Start:
    """Reads the weights in a vocoder's folder of any known kind.

    Args:
        folder: any path that --vocoder_dir accepts.
        shape: of the generator to train.
        mel: on which it will be trained.

    Raises:
        UserError: the folder has no HiFi-GAN, or one of another shape or mel; the message names the fields.
    """
    weights = find_weights(folder)[0]
    trained = read_shape(find_shape(weights))
    stored = {**{f"model.{k}": v for k, v in asdict(trained.generator).items()}, **_prefixed(trained.mel)}
    configured = {**{f"model.{k}": v for k, v in asdict(shape).items()}, **_prefixed(asdict(mel))}
    differing = [
        f"{key}: {value} in the folder, {configured[key]} in the configuration"
        for key, value in stored.items()
        if value != configured[key]
    ]
    if differing:
        raise UserError(f"{folder}: this vocoder does not match the configuration: {'; '.join(differing)}", exit_code=2)
    return Start(load_vocoder(folder).generator.state_dict(), _read_adversary(weights))


def _prefixed(mel: dict[str, float]) -> dict[str, object]:
    return {f"preprocess.{key}": value for key, value in mel.items()}


def _read_adversary(weights: Path) -> dict[str, Tensor] | None:
    """Reads the discriminators beside a generator's file: our model_1.safetensors or jik876's do_02500000."""
    trained = weights.with_name("model_1.safetensors")
    if trained.is_file():
        state = read_weights(trained)
        if all(
            key.startswith(("mpd.", "msd.")) for key in state
        ):  # else Amphion's, which numbers its models differently
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
