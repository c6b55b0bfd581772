"""Checkpoint folders (`step-0001000`) and files of weights, with strict loading."""

import json
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from utils.errors import UserError

_STEP_FOLDER = re.compile(r"step-(\d+)")


def checkpoint_name(step: int) -> str:
    """Returns the name of the folder for the checkpoint of a step."""
    return f"step-{step:07d}"


def list_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """Returns the checkpoints in a folder as (step, path), oldest first.

    A checkpoint is written under another name and renamed when it is complete, so every `step-N` folder is complete.
    """
    checkpoints = [(int(m[1]), path) for path in folder.glob("step-*") if (m := _STEP_FOLDER.fullmatch(path.name))]
    return sorted(checkpoints)


def prune_checkpoints(folder: Path, keep_last: int) -> None:
    """Deletes all but the newest `keep_last` checkpoints, and the leftovers of interrupted saves."""
    stale = [path for _, path in list_checkpoints(folder)[:-keep_last]] + list(folder.glob(".saving-*"))
    for path in stale:
        shutil.rmtree(path)


def save_weights(path: Path, state: Mapping[str, torch.Tensor], info: Mapping[str, object]) -> None:
    """Writes weights atomically, with `info` as JSON in the header of the file.

    Args:
        path: the .safetensors file.
        state: names to tensors.
        info: a description of the weights.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".saving-{path.name}")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    save_file(tensors, temporary, metadata={"info": json.dumps(dict(info))})
    temporary.replace(path)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Reads a .safetensors file, or a PyTorch file of plain tensors (`weights_only`: it cannot run code).

    Raises:
        UserError: the file is missing, damaged, or holds anything but tensors.
    """
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnpicklingError:
        raise UserError(f"{path}: holds more than tensors, and is refused because loading it could run code") from None
    except Exception as error:  # the readers raise many kinds of errors for a damaged file
        raise UserError(f"{path}: cannot be read as weights ({_first_line(error)}); copy it again") from None
    if not isinstance(state, dict):
        raise UserError(f"{path}: holds a {type(state).__name__}, expected a dict of tensors")
    return state


def load_strict(module: torch.nn.Module, state: Mapping[str, torch.Tensor], source: object) -> None:
    """Loads weights into a module; every name and shape must match.

    Args:
        module: receives the weights.
        state: the module's parameter names to tensors.
        source: the file, for the error message.

    Raises:
        UserError: names are missing or unexpected, or shapes differ; the message lists up to 12 differences.
    """
    expected = module.state_dict()
    differences = [f"missing {name}" for name in expected if name not in state]
    differences += [f"unexpected {name}" for name in state if name not in expected]
    differences += [
        f"{name} has shape {list(state[name].shape)}, expected {list(expected[name].shape)}"
        for name in expected
        if name in state and state[name].shape != expected[name].shape
    ]
    if differences:
        raise UserError(
            f"{source}: the weights do not fit this model ({len(differences)} differences): {_listing(differences)}"
        )
    module.load_state_dict(dict(state))


def strip_module_prefix(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Removes the prefix "module." that training on several GPUs adds to every name."""
    if state and all(name.startswith("module.") for name in state):
        return {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return dict(state)


def _listing(lines: Iterable[str], most: int = 12) -> str:
    lines = list(lines)
    return "; ".join(lines[:most]) + (f"; and {len(lines) - most} more" if len(lines) > most else "")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
