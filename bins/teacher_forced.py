"""Makes data for fine-tuning a vocoder: recordings, and a FastSpeech2's mels that match them frame by frame."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this repository's packages win over any of their names

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from bins.preprocess import corpus_folders
from bins.recipe.flags import TEACHER_FORCED
from config.load import load_config
from config.schema import ExpConfig, PreprocessConfig, VocoderPreprocessConfig
from processors.stage1.lock import check_features
from utils.data_folder import TABLES, acoustic_dataset, claim
from utils.errors import UserError
from utils.jsonl import read_json
from utils.lock import exclusive
from utils.logging import logger, setup_logging
from utils.program import run

if TYPE_CHECKING:
    from models.tts.experiment import Experiment


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and makes the data.

    Args:
        argv: command line; None: sys.argv.
    """
    setup_logging()
    run(
        lambda: make(TEACHER_FORCED.parse(__doc__, argv)),
        "Interrupted. Finished work is kept, and the same command resumes from there.",
    )


def make(args: argparse.Namespace) -> None:
    """Makes what is missing or out of date in `<processed_dir>/<dataset>-<experiment>`.

    Raises:
        UserError: the experiment, its features or the corpus cannot be used, or do not match.
        ConfigError: --config or --set is wrong.
    """
    started = time.monotonic()
    config = load_config(args.config, args.set)
    if len(config.dataset) > 1:
        raise UserError(f"dataset: fine-tuning takes one corpus, not {', '.join(config.dataset)}", exit_code=2)
    ((dataset, corpus_dir),) = corpus_folders(config, args.config).items()

    from models.tts.experiment import read_experiment

    experiment = read_experiment(args.acoustic_dir, "--acoustic_dir")
    check_fit(config, experiment)
    data_dir = args.acoustic_data_dir or Path(PreprocessConfig().processed_dir) / dataset
    check_data(experiment, data_dir)

    from preprocessors import read_corpus
    from processors.stage1.teacher_forced import make_teacher_forced_data

    assert isinstance(config.preprocess, VocoderPreprocessConfig)  # check_fit
    out_dir = Path(config.preprocess.processed_dir) / acoustic_dataset(dataset, args.acoustic_dir)
    with exclusive(out_dir):
        claim(out_dir, data_dir, corpus_dir)
        corpus = read_corpus(dataset, corpus_dir, subsets=config.preprocess.subsets)
        make_teacher_forced_data(config.preprocess, experiment, data_dir, dataset, corpus, out_dir)
    logger.info("took %.0f s", time.monotonic() - started)


def check_fit(config: ExpConfig, experiment: "Experiment") -> None:
    """Checks that the acoustic model matches the vocoder that is to be fine-tuned on its mels.

    Raises:
        UserError: the config is not of a vocoder, the acoustic model is a published one, or their mels differ.
    """
    if not isinstance(config.preprocess, VocoderPreprocessConfig):
        raise UserError(
            f"--config describes a {config.model_type}, not a vocoder: give that of a recipe in egs/vocoder", 2
        )
    if experiment.published:
        raise UserError(
            f"--acoustic_dir {experiment.root}: a published model; the features that it was trained on are not here", 2
        )
    if experiment.model_type != "FastSpeech2":
        raise UserError(
            f"--acoustic_dir {experiment.root}: holds a {experiment.model_type}; only a FastSpeech2 can speak with the "
            "durations of the recordings",
            2,
        )
    ours, theirs = asdict(config.preprocess.mel), asdict(experiment.preprocess.mel)
    differing = [
        f"{key}: {theirs[key]:g} (acoustic model), {ours[key]:g} (vocoder)" for key in ours if ours[key] != theirs[key]
    ]
    if differing:
        raise UserError(f"--acoustic_dir {experiment.root} makes another mel than --config; " + "; ".join(differing), 2)
    split_keys = ("valid_fraction", "test_fraction", "split_seed")
    moved = [key for key in split_keys if getattr(config.preprocess, key) != getattr(experiment.preprocess, key)]
    if moved:
        logger.warning(
            "%s: the acoustic model's differ from --config's, and its sets are taken. Utterances that the vocoder was "
            "trained on may be among those that validate the fine-tuning",
            ", ".join(f"preprocess.{key}" for key in moved),
        )


def check_data(experiment: "Experiment", data_dir: Path) -> None:
    """Checks that the model was trained on these features.

    Raises:
        UserError: the features are missing, from another version of the toolkit, or of another corpus.
    """
    if not data_dir.is_dir():
        raise UserError(
            f"{data_dir} is not there: give the features of {experiment.root.name} as --acoustic_data_dir, or make "
            "them: sh egs/tts/FastSpeech2/run.sh --stage 1"
        )
    own = load_config(experiment.root / "args.json")
    preprocess = replace(own.preprocess, processed_dir=str(data_dir.parent))
    check_features(replace(own, dataset=(data_dir.name,), preprocess=preprocess))
    for name in TABLES:
        if read_json(data_dir / name) != read_json(experiment.root / name):
            raise UserError(
                f"{data_dir / name} is not what {experiment.root} was trained on: give its own features as "
                "--acoustic_data_dir",
                2,
            )


if __name__ == "__main__":
    main()
