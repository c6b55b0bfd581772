"""Stage 2: trains a model on the features of stage 1."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this repository's packages win over any of their names

import os
import shutil
from contextlib import nullcontext
from dataclasses import replace

from bins.recipe.flags import TRAIN
from config.load import load_config, to_dict
from config.schema import ExpConfig, PreprocessConfig
from utils.errors import UserError
from utils.jsonl import read_json, write_json
from utils.lock import exclusive
from utils.logging import setup_logging
from utils.program import run

ACOUSTIC = "acoustic.json"  # in the data that bins/teacher_forced.py makes: whose mels they are


def main() -> None:
    """Parses, checks the configuration and trains."""
    args = TRAIN.parse(__doc__)
    if args.num_workers is not None:
        args.set.append(f"train.num_workers={args.num_workers}")
    config = load_config(args.config, args.set)  # before any heavy import, so that a typo is named at once
    if args.acoustic_dir is not None:
        if not config.dataset:
            raise UserError("dataset: empty; name the corpus that the mels were made of", exit_code=2)
        config = replace(config, dataset=(acoustic_dataset(config.dataset[0], args.acoustic_dir),))
        exp_dir = Path(config.log_dir) / args.exp_name
        if args.resume and args.resume_from_ckpt_path is None and not any(exp_dir.glob("checkpoint/step-*")):
            raise UserError(
                f"{exp_dir} has no checkpoint to resume from, and fine-tuning must not start from nothing: give the "
                "vocoder to start from as --resume_from_ckpt_path, too",
                2,
            )
    resume_from, start_from = args.resume_from_ckpt_path, None
    if args.resume_type == "finetune":
        resume_from, start_from = None, resume_from
    train(config, args.exp_name, args.resume, resume_from, start_from)


def train(
    config: ExpConfig, exp_name: str, resume: bool, resume_from: Path | None, start_from: Path | None = None
) -> None:
    """Trains one experiment.

    Args:
        config: the resolved configuration.
        exp_name: the experiment's name, a plain folder name.
        resume: go on from the newest checkpoint.
        resume_from: go on from this checkpoint folder.
        start_from: where nothing is gone on from, start from the weights in this folder.

    Raises:
        UserError: no usable features, an experiment of this name exists, or the loss became NaN.
    """
    if exp_name in ("", ".", "..") or "/" in exp_name or "\\" in exp_name:
        raise UserError(f"--name {exp_name!r}: give a plain name, not a path (log_dir says where it goes)", exit_code=2)
    data_dir = check_features(config)

    setup_logging()
    exp_dir = Path(config.log_dir) / exp_name
    first_process = os.environ.get("RANK", "0") == "0"
    with exclusive(exp_dir) if first_process else nullcontext():
        _train(config, exp_dir, data_dir, resume, resume_from, start_from, first_process)


def _train(
    config: ExpConfig,
    exp_dir: Path,
    data_dir: Path,
    resume: bool,
    resume_from: Path | None,
    start_from: Path | None,
    first_process: bool,
) -> None:
    from config.registry import find_model, resolve
    from models.training.resume import check_same_data, check_same_model, find_resume_point, portable

    make_trainer = resolve(find_model(config.model_type).trainer)
    kept = [*make_trainer.data_files, *([ACOUSTIC] if (data_dir / ACOUSTIC).is_file() else [])]
    checkpoint = find_resume_point(exp_dir, resume, resume_from, make_trainer.checkpoint_files, first_process)
    if checkpoint is not None:
        check_same_model(config, checkpoint)
        check_same_data(data_dir, checkpoint, kept)
    elif first_process:
        shutil.rmtree(exp_dir / "log", ignore_errors=True)  # of a run that was stopped before its first checkpoint
    trainer = make_trainer(config, exp_dir, checkpoint, start_from)
    if first_process:  # only now: what stops a training before it starts leaves no folder behind
        write_json(exp_dir / "args.json", portable(config))
        for name in kept:
            shutil.copyfile(data_dir / name, exp_dir / name)
        if isinstance(config.preprocess, PreprocessConfig) and config.preprocess.lexicon_path is not None:
            shutil.copyfile(config.preprocess.lexicon_path, exp_dir / "lexicon.txt")
    trainer.fit()


def acoustic_dataset(dataset: str, acoustic_dir: Path) -> str:
    """The data set that bins/teacher_forced.py makes: a corpus' recordings with an acoustic model's mels.

    It is named after the experiment, and after the checkpoint where one was given: many have a step-0001000.
    """
    folder = acoustic_dir.resolve()
    root = next((place for place in (folder, *folder.parents[:2]) if (place / "args.json").is_file()), folder)
    inside = [part for part in folder.relative_to(root).parts if part != "checkpoint"]
    return "-".join([dataset, root.name, *inside])


def check_features(config: ExpConfig) -> Path:
    """The folder of the configured corpus's features.

    Raises:
        UserError: stage 1 has not finished, or ran with other settings; each field is named.
    """
    from processors.stage1.finalize import LOCK
    from processors.stage1.plan import FEATURES_VERSION

    if not config.dataset:
        raise UserError("dataset: empty; name the corpus to train on", exit_code=2)
    data_dir = Path(config.preprocess.processed_dir) / config.dataset[0]
    lock_path = data_dir / LOCK
    if not lock_path.is_file():
        raise UserError(
            f"{data_dir} holds no finished features: run the stage that makes them first (--stage 1; an acoustic "
            "model's mels: --stage finetune)"
        )
    lock = read_json(lock_path)
    if not isinstance(lock, dict) or lock.get("features_version") != FEATURES_VERSION:
        raise UserError(f"{data_dir}: these features were made by another version of the toolkit: run stage 1 again")
    wanted = to_dict(config.preprocess)
    if not lock["preprocess"].keys() <= wanted.keys():
        raise UserError(
            f"{data_dir} holds features for another kind of model: set preprocess.processed_dir to where this recipe's "
            "stage 1 puts its own, and run it",
            exit_code=2,
        )
    different = [
        f"preprocess.{key} is {wanted[key]!r} but the features were made with {value!r}"
        for key, value in lock["preprocess"].items()
        if wanted[key] != value
    ]
    if different:
        raise UserError(
            f"{data_dir}: {'; '.join(different)}. Run stage 1 again, or set it back as it was.", exit_code=2
        )
    return data_dir


if __name__ == "__main__":
    run(main, "Interrupted. Go on from the last checkpoint with --resume.")
