"""Corpora: one reader each, by name."""

from collections.abc import Callable
from pathlib import Path

from preprocessors import ljspeech, recordings
from utils.errors import UserError
from utils.utterance import Corpus

# Name of a data set -> its reader, given the corpus's folder and name. A new corpus is one file here and one line.
READERS: dict[str, Callable[[Path, str], Corpus]] = {"LJSpeech": ljspeech.read}


def read_corpus(name: str, root: Path) -> Corpus:
    """The utterances of a corpus.

    A name without a reader of its own gets LJSpeech's where the folder has that layout: people bring their recordings
    under a name of their own.

    Args:
        name: the data set, as in the config's `dataset`.
        root: its folder, `dataset_path.<name>`.

    Raises:
        UserError: the folder is missing, has no metadata, or no reader knows it.
    """
    if name in READERS:
        return READERS[name](root, name)
    if not root.is_dir() or (root / ljspeech.METADATA).is_file():
        return ljspeech.read(root, name)
    raise UserError(
        f'dataset "{name}": no reader of this name (there are: {", ".join(READERS)}), and dataset_path.{name} = '
        f'"{root}" is not in LJSpeech\'s layout either: that is {ljspeech.LAYOUT}'
    )


def read_recordings(name: str, root: Path) -> Corpus:
    """The recordings of a corpus, with texts or without: of one in LJSpeech's layout, or of any folder of audio files.

    Args:
        name: the data set, as in the config's `dataset`.
        root: its folder, `dataset_path.<name>`.

    Returns:
        Where there is a metadata.csv, what it lists, under its ids; else every recording. The texts are empty.

    Raises:
        UserError: the folder is missing, or holds no recordings.
    """
    if (root / ljspeech.METADATA).is_file():
        return ljspeech.read(root, name, needs_text=False)
    return recordings.read(root, name)
