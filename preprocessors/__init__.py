"""Readers of corpora, by name."""

from collections.abc import Callable
from pathlib import Path

from preprocessors import ljspeech, recordings
from utils.errors import UserError
from utils.utterance import Corpus

# Name of a corpus -> its reader, which takes the folder and the name. A new corpus needs a file here and a line below.
READERS: dict[str, Callable[[Path, str], Corpus]] = {"LJSpeech": ljspeech.read}


def read_corpus(name: str, root: Path) -> Corpus:
    """Reads the utterances of a corpus.

    A name without a reader is read as LJSpeech if the folder has that layout, so that users can choose a name for
    their recordings.

    Args:
        name: the corpus, as in the config's `dataset`.
        root: its folder, `dataset_path.<name>`.

    Raises:
        UserError: the folder is missing or has no metadata, or there is no reader for it.
    """
    if name in READERS:
        return READERS[name](root, name)
    if not root.is_dir() or (root / ljspeech.METADATA).is_file():
        return ljspeech.read(root, name)
    raise UserError(
        f'dataset "{name}": no reader has this name (known: {", ".join(READERS)}), and dataset_path.{name} = '
        f'"{root}" is not in the layout of LJSpeech either, which is {ljspeech.LAYOUT}'
    )


def read_recordings(name: str, root: Path) -> Corpus:
    """Lists the recordings of a corpus in LJSpeech's layout, or of any folder of audio files.

    Args:
        name: the corpus, as in the config's `dataset`.
        root: its folder, `dataset_path.<name>`.

    Returns:
        The recordings that metadata.csv lists, under its ids, or every recording if there is no such file. Texts are
        empty.

    Raises:
        UserError: the folder is missing or has no recordings.
    """
    if (root / ljspeech.METADATA).is_file():
        return ljspeech.read(root, name, needs_text=False)
    return recordings.read(root, name)
