"""Reader of a folder of one's own: recordings with a text beside each, in folders by speaker or not."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from preprocessors import recordings
from preprocessors.entries import Entry, read_bytes, to_corpus
from utils.utterance import Corpus

SUFFIXES = (".txt", ".lab")
LAYOUT = "a recording and its text with the same name, such as take1.wav and take1.txt (or .lab), in any folders"


def matches(root: Path) -> bool:
    """Whether any recording has a text beside it."""
    return any(text is not None for _, _, text in _pairs(root))


def _pairs(root: Path) -> Iterator[tuple[Path, Path | None, Path | None]]:
    """Yields the path without suffix, the recording and the text; one of the two may be missing.

    A text without a recording counts only in a folder of recordings: there are other text files.
    """
    if not root.is_dir():
        return
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names = [name for name in files if not name.startswith(".")]
        sounds = {os.path.splitext(name)[0]: Path(folder, name) for name in recordings.best_suffix_last(names)}
        texts = {
            os.path.splitext(name)[0]: Path(folder, name)
            for suffix in reversed(SUFFIXES)
            for name in names
            if name.lower().endswith(suffix)
        }
        for stem in sorted({*sounds, *texts} if sounds else ()):
            yield Path(folder, stem).relative_to(root), sounds.get(stem), texts.get(stem)


def read(root: Path, name: str, needs_text: bool = True) -> Corpus:
    """Reads the corpus; the arguments are those of `preprocessors.read_corpus`.

    The folders next to each other that hold at least two recordings each are speakers; otherwise there is one speaker,
    with the corpus's name.
    """
    pairs = list(_pairs(root))
    sizes = Counter(stem.parts[0] for stem, sound, _ in pairs if sound is not None and len(stem.parts) > 1)
    nested = all(len(stem.parts) > 1 for stem, sound, _ in pairs if sound is not None)
    by_folder = nested and len(sizes) > 1 and min(sizes.values()) >= 2
    ids = recordings.ids([stem for stem, _, _ in pairs])
    entries = (
        Entry(
            ids[stem],
            recordings.readable(stem.parts[0]) if by_folder else name,
            None if text is None else read_bytes(text),
            sound,
        )
        for stem, sound, text in pairs
    )
    speakers = f"{len(sizes)} folders taken as speakers" if by_folder else "one speaker"
    return to_corpus(entries, f"recordings with a text beside each; {speakers}", needs_text)
