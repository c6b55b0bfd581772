"""Readers of corpora: by the name of the corpus, or by the layout of its folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from preprocessors import arctic, folder, hifitts, librivox, listed, mailabs, recordings, vctk
from preprocessors.entries import listing
from utils.errors import UserError
from utils.utterance import Corpus


class Reader(NamedTuple):
    """How to read one layout."""

    matches: Callable[[Path], bool]  # whether a folder has the layout
    read: Callable[..., Corpus]  # folder, name of the corpus, whether texts are needed[, subsets]
    layout: str  # for messages
    has_subsets: bool = False


LIST = Reader(listed.matches, listed.read, listed.LAYOUT)
# Usual name of a corpus -> its reader. A new corpus needs a file in this folder and a line here.
READERS: dict[str, Reader] = {
    "LJSpeech": LIST,
    "VCTK": Reader(vctk.matches, vctk.read, vctk.LAYOUT),
    "LibriTTS": Reader(librivox.matches_tts, librivox.read_tts, librivox.TTS_LAYOUT, True),
    "LibriSpeech": Reader(librivox.matches_speech, librivox.read_speech, librivox.SPEECH_LAYOUT, True),
    "HiFiTTS": Reader(hifitts.matches, hifitts.read, hifitts.LAYOUT, True),
    "CMU-ARCTIC": Reader(arctic.matches, arctic.read, arctic.LAYOUT),
    "M-AILABS": Reader(mailabs.matches, mailabs.read, mailabs.LAYOUT),
}
# In this order a folder's layout is tried; the last ones fit many folders.
_TRIED = [
    *(reader for reader in READERS.values() if reader is not LIST),
    LIST,
    Reader(folder.matches, folder.read, folder.LAYOUT),
]


def read_corpus(name: str, root: Path, needs_text: bool = True, subsets: Sequence[str] = ()) -> Corpus:
    """Reads the utterances of a corpus.

    The layout of the folder decides how it is read. The name matters only if several layouts fit, and in messages.

    Args:
        name: the corpus, as in the config's `dataset`.
        root: its folder, `dataset_path.<name>`.
        needs_text: if False, recordings without texts are kept, with the text "". All others have the same ids,
            speakers and texts.
        subsets: parts of the corpus to read, `preprocess.subsets`; empty: all.

    Raises:
        UserError: the folder is missing, has no known layout or nothing that can be used, or has no such subset.
    """
    named = next((reader for known, reader in READERS.items() if known.lower() == name.lower()), None)
    if not root.is_dir():
        layout = (named or LIST).layout if needs_text else recordings.LAYOUT
        raise UserError(f'dataset_path.{name} = "{root}": no such folder; it must contain {layout}')
    tried = [*([named] if named else []), *_TRIED]
    reader = next((reader for reader in tried if reader.matches(root)), None)
    if reader is None:
        if needs_text:
            raise UserError(_unknown_layout(name, root, named))
        return recordings.read(root, name)
    if not subsets:
        corpus = reader.read(root, name, needs_text)
    elif reader.has_subsets:
        corpus = reader.read(root, name, needs_text, subsets)
    else:
        raise UserError(f"preprocess.subsets: {name} in {root} has no subsets: leave it empty", 2)
    if not corpus.utterances and not needs_text:
        return recordings.read(root, name)
    return corpus


def _unknown_layout(name: str, root: Path, named: Reader | None) -> str:
    names = listing(root)
    there = f"it has {', '.join(names[:5])}{' and so on' if len(names) > 5 else ''}" if names else "it is empty"
    if named:
        return f'dataset_path.{name} = "{root}": the folder must contain {named.layout}; {there}'
    layouts = "; or ".join((LIST.layout, folder.LAYOUT))
    return (
        f'dataset_path.{name} = "{root}": the layout of this folder is not known: {there}. It must be that of a known '
        f"corpus ({', '.join(READERS)}), or contain {layouts}"
    )
