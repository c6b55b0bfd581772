"""Stage 2: trains a model on the features of stage 1."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this repository's packages win over any of their names

import os
import shutil
from contextlib import nullcontext
from dataclasses import replace

from bins.recipe.flags import TRAIN
from config.load import load_config
from config.schema import ExpConfig, PreprocessConfig
from processors.stage1.lock import check_features
from utils.data_folder import ACOUSTIC, acoustic_dataset
from utils.errors import UserError
from utils.jsonl import read_json, write_json
from utils.lock import exclusive
from utils.logging import setup_logging
from utils.program import run


def main() -> None:
    """Parses the flags, loads the configuration and trains."""
    args = TRAIN.parse(__doc__)
    if args.num_workers is not None:
        args.set.append(f"train.num_workers={args.num_workers}")
    config = load_config(args.config, args.set)  # before any heavy import, so that a typo is reported at once
    if args.acoustic_dir is not None:
        if not config.dataset:
            raise UserError("dataset: empty; name the corpus that the mels were made of", exit_code=2)
        if len(config.dataset) > 1:
            raise UserError(f"dataset: fine-tuning takes one corpus, not {', '.join(config.dataset)}", exit_code=2)
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
        config: the configuration.
        exp_name: name of the experiment, usable as a folder name.
        resume: continue from the newest checkpoint.
        resume_from: continue from this checkpoint.
        start_from: folder of the weights to start from, if no checkpoint is resumed.

    Raises:
        UserError: the features cannot be used, an experiment of this name exists, or the loss became NaN.
    """
    if exp_name in ("", ".", "..") or "/" in exp_name or "\\" in exp_name:
        raise UserError(f"--name {exp_name!r}: give a plain name, not a path (log_dir says where it goes)", exit_code=2)
    data_dirs = check_features(config)

    setup_logging()
    exp_dir = Path(config.log_dir) / exp_name
    first_process = os.environ.get("RANK", "0") == "0"
    with exclusive(exp_dir) if first_process else nullcontext():
        _train(config, exp_dir, data_dirs, resume, resume_from, start_from, first_process)


def _train(
    config: ExpConfig,
    exp_dir: Path,
    data_dirs: list[Path],
    resume: bool,
    resume_from: Path | None,
    start_from: Path | None,
    first_process: bool,
) -> None:
    from config.registry import find_model, resolve
    from models.training.resume import check_same_data, check_same_model, find_resume_point, portable

    make_trainer = resolve(find_model(config.model_type).trainer)
    data_dir = data_dirs[0]
    tables = make_trainer.tables(data_dirs)
    if (data_dir / ACOUSTIC).is_file():
        tables[ACOUSTIC] = read_json(data_dir / ACOUSTIC)
    checkpoint = find_resume_point(exp_dir, resume, resume_from, make_trainer.checkpoint_files, first_process)
    if checkpoint is not None:
        check_same_model(config, checkpoint)
        check_same_data(data_dir, checkpoint, tables)
    elif first_process:
        shutil.rmtree(exp_dir / "log", ignore_errors=True)  # left by a run that stopped before its first checkpoint
    trainer = make_trainer(config, exp_dir)
    trainer.setup(checkpoint, start_from)
    if first_process:  # only now, so that a training that fails to start leaves no folder behind
        write_json(exp_dir / "args.json", portable(config))
        for name, table in tables.items():
            write_json(exp_dir / name, table)
        if isinstance(config.preprocess, PreprocessConfig) and config.preprocess.lexicon_path is not None:
            shutil.copyfile(config.preprocess.lexicon_path, exp_dir / "lexicon.txt")
    trainer.fit()


if __name__ == "__main__":
    run(main, "Interrupted. Continue from the last checkpoint with --resume.")
