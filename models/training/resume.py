"""The checkpoint that a training resumes from, and whether it belongs to the experiment."""

import json
from collections.abc import Sequence
from pathlib import Path

from config.load import to_dict
from config.schema import PATH_KEYS, ExpConfig
from utils.checkpoint import checkpoint_name, list_checkpoints
from utils.errors import UserError
from utils.jsonl import read_json
from utils.logging import logger


def find_resume_point(
    exp_dir: Path, resume: bool, resume_from: Path | None, files: Sequence[str], first_process: bool = True
) -> Path | None:
    """The checkpoint to resume from, or None to start; two runs never share a folder.

    Args:
        exp_dir: the experiment's folder, which need not exist.
        resume: --resume was given.
        resume_from: --resume_from_ckpt_path, a checkpoint folder of any experiment of the same model.
        files: names that every checkpoint of the model has.
        first_process: of several, it alone asks whether the folder exists: it is the one that makes it.

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
                f"{exp_dir} goes further than {resume_from} (its newest checkpoint is {newest.name}). Give another "
                "--name to branch off from there.",
                exit_code=2,
            )
        return resume_from
    if first_process and exp_dir.exists() and not resume:
        at = f"is at step {existing[-1][0]:,}" if existing else "has no checkpoint yet"
        raise UserError(
            f"The experiment {exp_dir} exists and {at}. Add --resume to continue it, or give another --name.",
            exit_code=2,
        )
    if newest is None and (exp_dir / "best").is_dir():
        raise UserError(
            f"{exp_dir} has no checkpoint to resume from, but best/, which a new start would overwrite. Give another "
            "--name, or delete the folder.",
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
    return [name for name in files if not (checkpoint / name).is_file()]


def portable(config: ExpConfig) -> dict[str, object]:
    """The resolved configuration without this machine's paths: an experiment's folder works in any place."""
    values = to_dict(config)
    values["dataset_path"] = {}
    del values["log_dir"]
    for key in PATH_KEYS:
        values["preprocess"].pop(key, None)
    return values


def check_same_model(config: ExpConfig, checkpoint: Path) -> None:
    """Raises UserError where the checkpoint's experiment has another model or other features; each field is named."""
    args_path = checkpoint.parent.parent / "args.json"
    if not args_path.is_file():
        return  # a checkpoint that was moved alone: its weights are still checked name by name
    before, now = read_json(args_path), portable(config)
    different = []
    for section in ("model_type", "model", "preprocess"):
        old, new = _flatten(section, before.get(section)), _flatten(section, now[section])
        different += [
            f"{key}: {json.dumps(old.get(key))} then, {json.dumps(new.get(key))} now"
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key)
        ]
    if different:
        raise UserError(f"{checkpoint} is of another experiment: {'; '.join(different)}", exit_code=2)


def check_same_data(data_dir: Path, checkpoint: Path, names: Sequence[str]) -> None:
    """Raises UserError where one of these files of the features is no longer what the checkpoint was trained on."""
    for name in names:
        before = checkpoint.parent.parent / name
        if before.is_file() and read_json(before) != read_json(data_dir / name):
            raise UserError(
                f"{data_dir / name} is no longer what {checkpoint} was trained on: the features were made again from "
                "another corpus, or by another checkpoint of the acoustic model. Train under another --name.",
                exit_code=2,
            )


def _flatten(path: str, value: object) -> dict[str, object]:
    """Nested objects as one with dotted keys."""
    if not isinstance(value, dict):
        return {path: value}
    return {key: leaf for name, inner in value.items() for key, leaf in _flatten(f"{path}.{name}", inner).items()}
