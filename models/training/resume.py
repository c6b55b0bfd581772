"""Choice of the checkpoint that training resumes from, and checks that it fits the experiment."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils.other import load

from config.load import load_config, to_dict
from config.schema import PATH_KEYS, ExpConfig
from utils.checkpoint import checkpoint_name, list_checkpoints, read_weights
from utils.errors import UserError
from utils.jsonl import read_json
from utils.logging import logger

POSITION = "position.json"  # in a checkpoint: the position of training
_OLD_POSITION = "custom_checkpoint_0.pkl"  # the same, in checkpoints of earlier versions


def find_resume_point(
    exp_dir: Path, resume: bool, resume_from: Path | None, files: Sequence[str], first_process: bool = True
) -> Path | None:
    """Chooses the checkpoint to resume from; two runs never share a folder.

    Args:
        exp_dir: the experiment's folder; it need not exist.
        resume: --resume was given.
        resume_from: --resume_from_ckpt_path, a checkpoint folder of any experiment of the same model.
        files: names of the files that every checkpoint of the model has.
        first_process: whether this is the first of several processes: only it checks whether the folder exists,
            because it creates the folder.

    Returns:
        The checkpoint's folder; None: training starts at step 0.

    Raises:
        UserError: the experiment exists and neither flag was given, or the checkpoint cannot be used.
    """
    existing = list_checkpoints(exp_dir / "checkpoint")
    newest = existing[-1][1] if existing else None
    if resume_from is not None:
        missing = _missing_files(resume_from, files)
        if missing:
            known = f" (the newest of this experiment is {newest})" if newest else ""
            raise UserError(
                f"--resume_from_ckpt_path {resume_from}: not a checkpoint folder such as {checkpoint_name(1000)}: it "
                f"has no {', '.join(missing)}{known}",
                exit_code=2,
            )
        if newest is not None and newest.resolve() != resume_from.resolve():
            raise UserError(
                f"{exp_dir} is already past {resume_from} (its newest checkpoint is {newest.name}). Give another "
                "--name to branch off from there.",
                exit_code=2,
            )
        return resume_from
    if first_process and exp_dir.exists() and not resume:
        state = f"is at step {existing[-1][0]:,}" if existing else "has no checkpoint yet"
        raise UserError(
            f"The experiment {exp_dir} exists and {state}. Add --resume to continue it, or give another --name.",
            exit_code=2,
        )
    if newest is None and (exp_dir / "best").is_dir():
        raise UserError(
            f"{exp_dir} has no checkpoint to resume from, but best/ exists, and a new start would overwrite it. Give "
            "another --name, or delete the folder.",
            exit_code=2,
        )
    if newest is not None and _missing_files(newest, files):
        raise UserError(
            f"{newest} is damaged: {', '.join(_missing_files(newest, files))} missing. Delete this folder: --resume "
            "then continues from the one before it."
        )
    if resume and newest is None:
        logger.warning("%s has no checkpoint to resume from: training starts at step 0.", exp_dir)
    return newest


def _missing_files(checkpoint: Path, files: Sequence[str]) -> list[str]:
    missing = [name for name in files if not (checkpoint / name).is_file()]
    return [name for name in missing if name != POSITION or not (checkpoint / _OLD_POSITION).is_file()]


def load_checkpoint(accelerator: Accelerator, checkpoint: Path) -> dict[str, Any]:
    """Loads weights, optimizers and random state. Nothing is unpickled that could run code.

    Returns:
        The position of training.

    Raises:
        Exception: a file is damaged; the type depends on the file.
    """
    position = _read_position(checkpoint)
    _restore_random_state(checkpoint, accelerator.process_index)
    with _without_position(checkpoint) as folder:
        accelerator.load_state(str(folder))
    return position


def _read_position(checkpoint: Path) -> dict[str, Any]:
    new = (checkpoint / POSITION).is_file()
    position: dict[str, Any] = read_json(checkpoint / POSITION) if new else read_weights(checkpoint / _OLD_POSITION)
    counters = [position.get(name) for name in ("step", "epoch", "step_in_epoch")]
    if not all(type(count) is int and count >= 0 for count in counters):
        raise ValueError(f"step, epoch and step_in_epoch must be whole numbers, got {counters}")
    if type(position.get("best_loss")) is not float or not isinstance(position.get("order"), dict):
        raise ValueError("best_loss must be a number, and order an object")
    return position


def _restore_random_state(checkpoint: Path, process: int) -> None:
    """Restores the random state as accelerate does, which ignores a damaged file: training would differ silently."""
    path = checkpoint / f"random_states_{process}.pkl"
    if not path.is_file():
        return  # the checkpoint was saved by fewer processes
    states = load(path)  # plain data and NumPy arrays
    random.setstate(states["random_state"])
    np.random.set_state(states["numpy_random_seed"])
    torch.set_rng_state(states["torch_manual_seed"])


@contextmanager
def _without_position(checkpoint: Path) -> Iterator[Path]:
    """Yields a folder with the files of a checkpoint, without the pickles that accelerate would load and run."""
    if not any(checkpoint.glob("custom_checkpoint_*.pkl")):
        yield checkpoint
        return
    with TemporaryDirectory() as folder:
        for path in checkpoint.iterdir():
            if not path.name.startswith("custom_checkpoint_"):
                (Path(folder) / path.name).symlink_to(path.resolve())
        yield Path(folder)


def portable(config: ExpConfig) -> dict[str, object]:
    """Returns the resolved configuration without this machine's paths, so that the experiment's folder can be moved."""
    values = to_dict(config)
    values["dataset_path"] = {}
    del values["log_dir"]
    for key in PATH_KEYS:
        values["preprocess"].pop(key, None)
    return values


def check_same_model(config: ExpConfig, checkpoint: Path) -> None:
    """Checks that the checkpoint's experiment has the same model and the same settings of the features.

    Raises:
        UserError: they differ; each field is named.
    """
    args_path = checkpoint.parent.parent / "args.json"
    if not args_path.is_file():
        return  # a checkpoint moved without its experiment; its weights are still checked name by name
    saved, current = portable(load_config(args_path)), portable(config)  # a key that is new has its default
    different = []
    for section in ("model_type", "model", "preprocess"):
        old, new = _flatten(section, saved.get(section)), _flatten(section, current[section])
        different += [
            f"{key}: {json.dumps(old.get(key))} then, {json.dumps(new.get(key))} now"
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key)
        ]
    if different:
        raise UserError(f"{checkpoint} belongs to another experiment: {'; '.join(different)}", exit_code=2)


def check_same_data(data_dir: Path, checkpoint: Path, tables: Mapping[str, Any]) -> None:
    """Checks that these tables of the features are the ones that the checkpoint was trained on.

    Args:
        data_dir: where the tables come from, for messages.
        checkpoint: in its experiment.
        tables: file name -> content.

    Raises:
        UserError: one of them has changed.
    """
    for name, table in tables.items():
        saved = checkpoint.parent.parent / name
        if saved.is_file() and read_json(saved) != table:
            raise UserError(
                f"{data_dir / name} is no longer what {checkpoint} was trained on: the features were computed again "
                "from other corpora or with another checkpoint of the acoustic model. Train under another --name.",
                exit_code=2,
            )


def _flatten(path: str, value: object) -> dict[str, object]:
    """Flattens nested objects into one with dotted keys."""
    if not isinstance(value, dict):
        return {path: value}
    return {key: leaf for name, inner in value.items() for key, leaf in _flatten(f"{path}.{name}", inner).items()}
