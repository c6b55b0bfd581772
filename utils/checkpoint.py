"""Checkpoint folders (`step-0001000`), weights on disk, and the strict loading of both."""

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
    """The name of the folder that holds a step's checkpoint."""
    return f"step-{step:07d}"


def list_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """The whole checkpoints of a folder as (step, path), oldest first.

    A checkpoint is written under another name and renamed when it is complete, so every `step-N` folder is whole.
    """
    checkpoints = [(int(m[1]), path) for path in folder.glob("step-*") if (m := _STEP_FOLDER.fullmatch(path.name))]
    return sorted(checkpoints)


def prune_checkpoints(folder: Path, keep_last: int) -> None:
    """Deletes all but the newest `keep_last` checkpoints, and what an interrupted save left behind."""
    stale = [path for _, path in list_checkpoints(folder)[:-keep_last]] + list(folder.glob(".saving-*"))
    for path in stale:
        shutil.rmtree(path)


def save_weights(path: Path, state: Mapping[str, torch.Tensor], info: Mapping[str, object]) -> None:
    """Writes weights, with `info` as JSON in the file's header, under a temporary name first.

    Args:
        path: the .safetensors file.
        state: names to tensors.
        info: what the weights are, for `read_weights`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".saving-{path.name}")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    save_file(tensors, temporary, metadata={"info": json.dumps(dict(info))})
    temporary.replace(path)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Reads a .safetensors file, or a PyTorch file of plain tensors (`weights_only`: it cannot run code).

    Raises:
        UserError: the file is missing, damaged, or holds something else than tensors.
    """
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnpicklingError:
        raise UserError(f"{path}: holds more than tensors, and loading it could run code: refused") from None
    except Exception as error:  # a damaged file makes the readers raise errors of many kinds
        raise UserError(f"{path}: cannot be read as weights ({_first_line(error)}); copy it again") from None
    if not isinstance(state, dict):
        raise UserError(f"{path}: holds a {type(state).__name__}, not names with tensors")
    return state


def load_strict(module: torch.nn.Module, state: Mapping[str, torch.Tensor], source: object) -> None:
    """Loads weights into a module; every name and shape must match.

    Args:
        module: receives the weights.
        state: names to tensors, in the module's own names.
        source: the file, for the error message.

    Raises:
        UserError: keys are missing, extra or misshapen; all are listed.
    """
    own = module.state_dict()
    wrong = [f"missing {name}" for name in own if name not in state]
    wrong += [f"unexpected {name}" for name in state if name not in own]
    wrong += [
        f"{name} has shape {list(state[name].shape)}, expected {list(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    if wrong:
        raise UserError(f"{source}: these weights are not of this model ({len(wrong)} differences): {_listing(wrong)}")
    module.load_state_dict(dict(state))


def strip_module_prefix(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Removes the "module." that training on several GPUs puts before every name."""
    if state and all(name.startswith("module.") for name in state):
        return {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return dict(state)


def _listing(lines: Iterable[str], most: int = 12) -> str:
    lines = list(lines)
    return "; ".join(lines[:most]) + (f"; and {len(lines) - most} more" if len(lines) > most else "")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
