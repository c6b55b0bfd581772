"""Stage 1: computes the features of a corpus; only those that are missing or out of date."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bins.recipe.flags import PREPROCESS
from config.load import load_config
from config.schema import ExpConfig, PreprocessConfig, VocoderPreprocessConfig
from processors.stage1.ranks import run_on_ranks
from utils.cores import available_cores
from utils.data_folder import claim
from utils.errors import UserError
from utils.lock import exclusive
from utils.program import run

if TYPE_CHECKING:
    from processors.stage1.pipeline import Summary
    from processors.stage1.pool import Workers
    from utils.utterance import Corpus


def corpus_folders(config: ExpConfig, config_path: Path) -> dict[str, Path]:
    """Returns the folder of each corpus, by its name.

    Raises:
        UserError: the config names no corpus, or still has the placeholder of a recipe.
    """
    if not config.dataset:
        raise UserError(f'{config_path}: dataset is empty: name the corpus, e.g. "dataset": ["LJSpeech"]', 2)
    return {name: _corpus_folder(config, config_path, name) for name in config.dataset}


def _corpus_folder(config: ExpConfig, config_path: Path, name: str) -> Path:
    if name not in config.dataset_path:
        raise UserError(f"{config_path}: dataset_path.{name} is missing: the folder of the corpus", 2)
    folder = config.dataset_path[name]
    if folder.startswith("[") and folder.endswith("]"):
        raise UserError(
            f'{config_path}: dataset_path.{name} is still the placeholder "{folder}": put the folder of your corpus '
            f"there, the one that holds {'its recordings and texts' if _needs_text(config) else 'its recordings'}",
            2,
        )
    return Path(folder)


def _needs_text(config: ExpConfig) -> bool:
    """Whether the model is trained on texts; a vocoder needs only recordings."""
    return not isinstance(config.preprocess, VocoderPreprocessConfig)


def main() -> None:
    """Runs stage 1."""
    arguments = PREPROCESS.parse(__doc__)
    config = load_config(arguments.config, arguments.set)
    folders = corpus_folders(config, arguments.config)
    num_workers = arguments.num_workers or available_cores()

    def make_all(workers: "Workers") -> None:
        for name, folder in folders.items():
            make_features(config, name, folder, workers)

    run_on_ranks(num_workers, make_all)


def make_features(config: ExpConfig, name: str, folder: Path, workers: "Workers") -> None:
    """Computes the features of a corpus, and prints a summary.

    Raises:
        UserError: the corpus cannot be used, or another run is using the folder.
        OSError: a file cannot be written.
    """
    from preprocessors import read_corpus

    corpus = read_corpus(name, folder, _needs_text(config), config.preprocess.subsets)
    print(f"{name}: {folder} is read as {corpus.layout}", flush=True)
    data_dir = Path(config.preprocess.processed_dir) / name
    with exclusive(data_dir):
        claim(data_dir, folder)
        if isinstance(config.preprocess, VocoderPreprocessConfig):
            from processors.stage1.recordings import preprocess_recordings

            summary = preprocess_recordings(config.preprocess, name, corpus, workers)
        else:
            assert isinstance(config.preprocess, PreprocessConfig)
            summary = _make_acoustic_features(config.preprocess, name, folder, corpus, workers)
    print("\n".join(summary.lines()))


def _make_acoustic_features(
    config: PreprocessConfig, name: str, folder: Path, corpus: "Corpus", workers: "Workers"
) -> "Summary":
    from processors.stage1.alignment import align_corpus, is_wanted
    from processors.stage1.pipeline import preprocess

    learned = None
    if is_wanted(config, folder, corpus):
        corpus, learned = align_corpus(config, name, folder, corpus, workers)
    return preprocess(config, name, folder, corpus, workers, learned)


if __name__ == "__main__":
    run(main, "Interrupted. Finished work is kept, and the same command resumes from there.")
