"""Aligns a corpus: writes TextGrids with the times of words and phones. Stage 1 does so if they are missing."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bins.preprocess import corpus_folders
from bins.recipe.flags import PREPROCESS
from config.load import load_config
from config.schema import PreprocessConfig
from processors.stage1.pool import Workers
from processors.stage1.ranks import run_on_ranks
from utils.cores import available_cores
from utils.data_folder import claim
from utils.errors import UserError
from utils.lock import exclusive
from utils.program import run


def main() -> None:
    """Runs only the alignment."""
    arguments = PREPROCESS.parse("Write TextGrids with the times of the words and phones of a corpus, and stop.")
    config = load_config(arguments.config, arguments.set)
    folders = corpus_folders(config, arguments.config)
    preprocess = config.preprocess
    if not isinstance(preprocess, PreprocessConfig):
        raise UserError(f"{arguments.config}: {config.model_type} needs no alignment: give a model's that has texts", 2)

    num_workers = arguments.num_workers or available_cores()

    def align_all(workers: Workers) -> None:
        for name, folder in folders.items():
            align(preprocess, name, folder, workers)

    run_on_ranks(num_workers, align_all)


def align(config: PreprocessConfig, name: str, folder: Path, workers: Workers) -> None:
    """Aligns the corpus, and prints a summary with the doubtful utterances.

    Raises:
        UserError: the corpus cannot be aligned, or another run is using the folder.
        OSError: a file cannot be written.
    """
    from preprocessors import read_corpus
    from processors.stage1.alignment import align_corpus

    corpus = read_corpus(name, folder, subsets=config.subsets)
    if not corpus.utterances:
        raise UserError(f"{name} has no usable line in its metadata")
    data_dir = Path(config.processed_dir) / name
    with exclusive(data_dir):
        claim(data_dir, folder)
        learned = align_corpus(config, name, folder, corpus, workers).learned
    report = learned.report
    print(f"{name}: {report['aligned']:,} of {len(corpus.utterances):,} utterances aligned: {learned.folder}")
    if report["agreement"]:
        mean, far = report["agreement"]["mean_ms"], report["agreement"]["beyond_75_ms"]
        print(f"  from the corpus's own TextGrids: {mean:.1f} ms on average, {far:.2%} more than 75 ms")
    print(f"  {report['silence_share']:.0%} of {report['hours']:.2f} hours is silence")
    for row in report["worst"][:5]:
        print(f"  doubtful: {row['utt_id']}, misfit {row['misfit']:.1f} {row['note']}".rstrip())


if __name__ == "__main__":
    run(main, "Interrupted. Finished work is kept, and the same command resumes from there.")
