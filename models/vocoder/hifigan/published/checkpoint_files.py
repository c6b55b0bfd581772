"""Finds the files with the generator's weights and shape in each known kind of HiFi-GAN folder.

Known kinds: jik876's (config.json beside generator_v1 or g_02500000), Amphion's published one (args.json,
checkpoints/*.pt, and the text file `checkpoint` that names the newest), and accelerate folders (args.json, then
checkpoint/[epoch-E_]step-S[_loss-L]/ with model.safetensors or pytorch_model.bin), which training with Amphion and this
toolkit writes. From a checkpoint of this toolkit, the averaged weights in ema.safetensors are used if it has any. The
best weights, in the folder best, must be requested explicitly. Any folder on the path to the weights is accepted, and
so is a weight file.
"""

import re
from pathlib import Path

from utils.errors import UserError

_STEP_FOLDER = re.compile(r"(?:epoch-\d+_)?step-(\d+)(?:_loss-.*)?")
_STEP_PT = re.compile(r".*step-(\d+).*\.pt")
_JIK876 = re.compile(r"g_(\d+)")
_JIK876_NAMED = re.compile(r"generator_v\d+")
_AVERAGE = "ema.safetensors"
_ACCELERATE = re.compile(r"model(_\d+)?\.safetensors")
_ACCELERATE_BIN = re.compile(r"pytorch_model(_\d+)?\.bin")
_SHAPE_FILES = ("args.json", "config.json")
_LOOKED_FOR = (
    "config.json beside g_* or generator_v*; args.json with checkpoints/checkpoint and *.pt; "
    "args.json with checkpoint/*step-*/model.safetensors or pytorch_model.bin"
)


def find_weights(vocoder_dir: Path) -> list[Path]:
    """Returns the files of the newest checkpoint, one of which has the generator (accelerate numbers its models).

    Args:
        vocoder_dir: a vocoder's folder, a checkpoint folder inside it, or a weight file.

    Raises:
        UserError: the folder has no known vocoder, or the file that `checkpoint` names is missing or in another folder.
    """
    if vocoder_dir.is_file():
        return [vocoder_dir]
    if vocoder_dir.name == "checkpoints" and not vocoder_dir.exists():
        vocoder_dir = vocoder_dir.with_name(
            "checkpoint"
        )  # published folders have `checkpoints`, trained ones `checkpoint`
    if not vocoder_dir.is_dir():
        raise UserError(f"{vocoder_dir}: no such vocoder folder (--vocoder_dir)", 2)
    for folder in (vocoder_dir, vocoder_dir / "checkpoints", vocoder_dir / "checkpoint"):
        if folder.is_dir() and (paths := _weights_in(folder)):
            return paths
    names = sorted(p.name + "/" * p.is_dir() for p in vocoder_dir.iterdir())
    listing = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    raise UserError(f"{vocoder_dir}: no vocoder. Looked for: {_LOOKED_FOR}. Found: {listing or 'nothing'}", 2)


def find_shape(weights: Path) -> Path:
    """Returns the args.json or config.json of a weight file: in its folder, or up to two folders above.

    Raises:
        UserError: none exists.
    """
    folders = list(weights.resolve().parents)[:3]
    for folder in folders:
        for name in _SHAPE_FILES:
            if (folder / name).is_file():
                return folder / name
    raise UserError(f"{weights}: no args.json or config.json in its folder or above, up to {folders[-1]}", 2)


def _weights_in(folder: Path) -> list[Path]:
    """Returns the weight files in `folder`, or else in its newest step folder; empty if there are none."""
    pointer = folder / "checkpoint"
    if pointer.is_file():
        return [_pointed(pointer)]
    for pattern in (_STEP_PT, _JIK876):
        if newest := _newest(folder, pattern):
            return [newest]
    files = sorted(p for p in folder.iterdir() if p.is_file())
    if (folder / _AVERAGE).is_file():
        return [folder / _AVERAGE]
    for pattern in (_ACCELERATE, _ACCELERATE_BIN):
        if matching := [p for p in files if pattern.fullmatch(p.name)]:
            return matching
    named = [p for p in files if _JIK876_NAMED.fullmatch(p.name)]
    if len(named) > 1:
        names = ", ".join(p.name for p in named)
        raise UserError(f"{folder}: which of {names}? Pass the file as --vocoder_dir", 2)
    if named:
        return named
    if newest := _newest(folder, _STEP_FOLDER):
        if paths := _weights_in(newest):
            return paths
        raise UserError(f"{newest}: this newest checkpoint has no model.safetensors or pytorch_model.bin", 2)
    return []


def _newest(folder: Path, pattern: re.Pattern[str]) -> Path | None:
    """Returns the entry with the highest step among those whose names match."""
    steps = [(int(match[1]), p) for p in folder.iterdir() if (match := pattern.fullmatch(p.name))]
    return max(steps)[1] if steps else None


def _pointed(pointer: Path) -> Path:
    """Returns the file that Amphion's text file names, which must be in the same folder."""
    name = pointer.read_text(encoding="utf-8", errors="replace").strip()
    target = pointer.parent / name
    if not name or not target.resolve().is_relative_to(pointer.parent.resolve()):
        raise UserError(f"{pointer}: names {name!r}, which is not a file in this folder", 2)
    if not target.is_file():
        raise UserError(f"{pointer}: names {name!r}, which does not exist", 2)
    return target
