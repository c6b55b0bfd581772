"""Reader of M-AILABS (https://www.caito.de/2019/01/03/the-m-ailabs-speech-dataset): books, sorted by speaker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from preprocessors import listed
from preprocessors.entries import folders_in
from utils.utterance import Corpus

LAYOUT = "en_US/by_book/female/SPEAKER/BOOK/metadata.csv, and wavs/ beside it"


def matches(root: Path) -> bool:
    """Whether the folder has this layout, from any level above the speakers."""
    return any(True for _ in _books(root))


def _books(root: Path) -> Iterator[tuple[str, Path]]:
    """Yields speaker and folder of each book."""
    if not root.is_dir():
        return
    for folder in (root, *folders_in(root), *(inner for outer in folders_in(root) for inner in folders_in(outer))):
        if folder.name == "by_book":
            for path, folders, files in os.walk(folder):
                folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "wavs")
                parts = Path(path).relative_to(folder).parts
                if listed.METADATA in files and len(parts) >= 2:
                    # female/SPEAKER/BOOK, but mix/BOOK: a book that several people read
                    yield parts[1] if len(parts) > 2 else f"{parts[0]}-{parts[1]}", Path(path)


def read(root: Path, name: str, needs_text: bool = True) -> Corpus:
    """Reads the corpus; the arguments are those of `preprocessors.read_corpus`. Ids get the speaker in front."""
    corpus = Corpus([], [], [], "M-AILABS")
    for speaker, folder in _books(root):
        book = listed.read(folder, speaker, needs_text)
        corpus.utterances.extend(u._replace(utt_id=f"{speaker}_{u.utt_id}") for u in book.utterances)
        corpus.skipped.extend(s._replace(utt_id=f"{folder.name}: {s.utt_id}") for s in book.skipped)
        corpus.mended.extend(m._replace(utt_id=f"{speaker}_{m.utt_id}") for m in book.mended)
    return corpus
