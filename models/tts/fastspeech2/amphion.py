"""Published Amphion FastSpeech2 folders: `args.json`, `<Dataset>/phone_*/statistics.json`, `checkpoint/epoch-*/`."""

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import json5
import torch
from torch import Tensor

from config.load import ConfigError, build_config
from config.schema import MelSettings
from models.tts.fastspeech2.config import FastSpeech2Config
from models.tts.fastspeech2.model import FastSpeech2, FeatureStats, SpeakerStats
from text.symbols import AMPHION_SYMBOLS
from utils.checkpoint import read_weights, strip_module_prefix
from utils.errors import UserError

_CHECKPOINT = re.compile(r"epoch-(\d+)_step-(\d+)_loss-.+")
_WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
_EXPECTED = (
    "a published Amphion FastSpeech2 folder holds args.json and checkpoint/epoch-E_step-S_loss-L/ with "
    "model.safetensors or pytorch_model.bin"
)

# Our names -> Amphion's, applied in order; `qkv` is three tensors there.
_RENAMES = (
    (r"^embedding\.", "encoder.src_word_emb."),
    (r"^speaker_embedding\.", "speaker_emb."),
    (r"\.blocks\.", ".layer_stack."),
    (r"\.attention\.output\.", ".slf_attn.fc."),
    (r"\.attention\.norm\.", ".slf_attn.layer_norm."),
    (r"\.attention\.qkv\.", ".slf_attn.qkv."),
    (r"\.feed_forward\.conv", ".pos_ffn.w_"),
    (r"\.feed_forward\.norm\.", ".pos_ffn.layer_norm."),
    (r"_predictor\.conv(\d)\.", r"_predictor.conv_layer.conv1d_\1.conv."),
    (r"_predictor\.norm(\d)\.", r"_predictor.conv_layer.layer_norm_\1."),
    (r"_predictor\.linear\.", "_predictor.linear_layer."),
    (r"^postnet\.convs\.(\d+)\.", r"postnet.convolutions.\1.0.conv."),
    (r"^postnet\.norms\.(\d+)\.", r"postnet.convolutions.\1.1."),
)
_STATISTICS = SpeakerStats._fields  # not in Amphion's checkpoints
_TABLES = ("encoder.position_enc", "decoder.position_enc")  # in Amphion's checkpoints, but computed here


class AmphionFastSpeech2(NamedTuple):
    """A published model with the settings that inference needs."""

    model: FastSpeech2  # in eval mode, on the CPU
    mel: MelSettings
    stats: FeatureStats | None  # None: the folder has no statistics.json, so pitch is known only as z-scores
    step: int | None  # of the checkpoint; None if the name of its folder does not contain it
    checkpoint_dir: Path


def load_amphion(folder: str | Path) -> AmphionFastSpeech2:
    """Loads a published FastSpeech2, including its padding leak (`mask_padding` false).

    From `args.json`, only the shape of the model, the mel settings and the name of the dataset are read: no path in it
    is followed. The limit of 1,000 frames does not apply: positions are computed, not stored.

    Args:
        folder: the published folder, its `checkpoint` folder, or one checkpoint in that.

    Returns:
        The model in eval mode and the settings that inference needs.

    Raises:
        UserError: a file is missing or cannot be read, or the weights do not match `args.json`: every missing, extra
            and misshapen tensor is listed.
    """
    root, checkpoint_dir = _find_checkpoint(Path(folder))
    args = _read_json5(root / "args.json")
    config, mel = _read_config(args, root / "args.json")
    weights_path = _weights_path(checkpoint_dir)
    state = _read_weights(weights_path)

    speakers = state.get("speaker_emb.weight")
    placeholder = FeatureStats(0.0, 1.0, -1.0, 1.0, 0.0, 1.0, -1.0, 1.0)  # the bins come from the checkpoint
    num_speakers = 1 if speakers is None else len(speakers)
    # Amphion's embedding has one row more than there are symbols.
    model = FastSpeech2(config, len(AMPHION_SYMBOLS) + 1, mel.n_mel, num_speakers, placeholder)
    weights = _our_weights(state, model, weights_path)
    stats = _read_stats(root, args, weights)
    for name in _STATISTICS:
        weights[name] = torch.tensor(getattr(stats or placeholder, name))
    model.load_state_dict(weights)
    match = _CHECKPOINT.fullmatch(checkpoint_dir.resolve().name)
    step = int(match[2]) if match else None
    return AmphionFastSpeech2(model.eval(), mel, stats, step, checkpoint_dir)


def amphion_names(name: str) -> tuple[str, ...]:
    """Returns Amphion's names of one of our tensors: three if ours stacks three, none if Amphion has no such tensor."""
    if name in _STATISTICS:
        return ()
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    return tuple(name.replace(".qkv.", f".w_{part}s.") for part in "qkv") if ".qkv." in name else (name,)


def _find_checkpoint(folder: Path) -> tuple[Path, Path]:
    """Returns the folder with args.json, and the checkpoint: `folder` if it is one, else the newest."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; {_EXPECTED}", exit_code=2)
    folder = folder.absolute()
    if _CHECKPOINT.fullmatch(folder.name) or any((folder / name).is_file() for name in _WEIGHT_FILES):
        root, checkpoint_dir = folder.parent.parent, folder
    else:
        root = folder.parent if folder.name == "checkpoint" else folder
        matches = {path: _CHECKPOINT.fullmatch(path.name) for path in root.glob("checkpoint/*") if path.is_dir()}
        steps = {int(match[2]): path for path, match in matches.items() if match}
        if not steps:
            raise UserError(f"{root}: no folder checkpoint/epoch-E_step-S_loss-L; {_EXPECTED}", exit_code=2)
        checkpoint_dir = steps[max(steps)]
    if not (root / "args.json").is_file():
        raise UserError(f"{root / 'args.json'}: no such file; {_EXPECTED}", exit_code=2)
    return root, checkpoint_dir


def _weights_path(checkpoint_dir: Path) -> Path:
    for name in _WEIGHT_FILES:
        if (checkpoint_dir / name).is_file():
            return checkpoint_dir / name
    raise UserError(f"{checkpoint_dir}: neither {' nor '.join(_WEIGHT_FILES)}; {_EXPECTED}", exit_code=2)


def _read_json5(path: Path) -> dict[str, Any]:
    try:
        values = json5.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON5: {error}", exit_code=2) from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: must hold an object", exit_code=2)
    return values


def _read_config(args: Mapping[str, Any], path: Path) -> tuple[FastSpeech2Config, MelSettings]:
    """Reads the keys that this toolkit shares with Amphion; keys that Amphion omits have the same defaults here."""

    def known(section: object, dataclass: Any) -> dict[str, Any]:
        names = {field.name for field in dataclasses.fields(dataclass)}
        return {key: value for key, value in section.items() if key in names} if isinstance(section, dict) else {}

    model_args = args.get("model")
    model_args = model_args if isinstance(model_args, dict) else {}
    model: dict[str, Any] = {"mask_padding": False}
    for field in dataclasses.fields(FastSpeech2Config):
        if dataclasses.is_dataclass(field.type) and field.name != "postnet":  # Amphion's PostNet has one shape
            model[field.name] = known(model_args.get(field.name), field.type)
    # The checkpoint holds the bins, however they were computed.
    model["variance_embedding"].update(pitch_quantization="linear", energy_quantization="linear")
    preprocess = known(args.get("preprocess"), MelSettings)
    try:
        config = build_config({"model_type": "FastSpeech2", "model": model, "preprocess": preprocess}, str(path))
    except ConfigError as error:
        raise UserError(str(error), exit_code=2) from error
    assert isinstance(config.model, FastSpeech2Config)
    return config.model, config.preprocess.mel


def _read_weights(path: Path) -> dict[str, Tensor]:
    """Reads the tensors of a file and strips the name prefix that multi-GPU training adds."""
    state = strip_module_prefix(read_weights(path))
    if not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path}: must contain named tensors and nothing else", exit_code=2)
    return state


def _our_weights(state: Mapping[str, Tensor], model: FastSpeech2, path: Path) -> dict[str, Tensor]:
    """Renames the tensors to our names.

    Raises:
        UserError: tensors are missing, extra or misshapen; the message names every one.
    """
    expected = {name: (amphion_names(name), tensor.shape) for name, tensor in model.state_dict().items()}
    known = {amphion_name for names, _ in expected.values() for amphion_name in names}
    problems = [f"missing: {name}" for name in sorted(known - state.keys())]
    problems += [f"not of this model: {name}" for name in sorted(state.keys() - known - set(_TABLES))]
    weights = {}
    for name, (amphion, shape) in expected.items():
        if not amphion:
            continue
        part = (shape[0] // len(amphion), *shape[1:]) if len(amphion) > 1 else tuple(shape)
        problems += [
            f"shape {tuple(state[key].shape)}, expected {part}: {key}"
            for key in amphion
            if key in state and tuple(state[key].shape) != part
        ]
        if not problems:
            weights[name] = torch.cat([state[key] for key in amphion]) if len(amphion) > 1 else state[amphion[0]]
    if problems:
        raise UserError(
            f"{path}: the weights do not match the model that args.json describes:\n  " + "\n  ".join(problems), 2
        )
    return weights


def _read_stats(root: Path, args: Mapping[str, Any], weights: Mapping[str, Tensor]) -> FeatureStats | None:
    """Reads mean and standard deviation from the statistics files, the range from the bins; None without the files."""
    dataset = args.get("dataset")
    name = dataset[0] if isinstance(dataset, list) and dataset else None
    if not isinstance(name, str) or not re.fullmatch(
        r"\w[\w .-]*", name
    ):  # a plain name, so the path stays inside the folder
        return None
    values: dict[str, Any] = {}
    for feature, part in (("pitch", "phone_pitches"), ("energy", "phone_energys")):
        path = root / name / part / "statistics.json"
        if not path.is_file():
            return None
        try:
            statistics = json.loads(path.read_text(encoding="utf-8"))[f"{name}_{name}"]["voiced_positions"]
            values[f"{feature}_mean"], values[f"{feature}_std"] = float(statistics["mean"]), float(statistics["std"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: must hold numbers at {name}_{name}.voiced_positions.mean and .std ({error!r})", exit_code=2
            ) from error
        bins = weights[f"variance_adaptor.{feature}_bins"]
        values[f"{feature}_min"], values[f"{feature}_max"] = float(bins[0]), float(bins[-1])
    return FeatureStats(**values)
