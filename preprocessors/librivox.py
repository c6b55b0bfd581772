"""Readers of LibriTTS, LibriTTS-R (arXiv:1904.02882, arXiv:2305.18802) and LibriSpeech: LibriVox's readers by number.

A subset such as train-clean-100 has a folder for each reader, and that one a folder for each chapter.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from preprocessors.entries import (
    Entry,
    clean,
    folders_in,
    is_number,
    listing,
    read_bytes,
    recordings_in,
    to_corpus,
)
from preprocessors.recordings import best_suffix_last
from utils.errors import UserError
from utils.utterance import Corpus, Mended

SPEECH_LAYOUT = "train-clean-100/103/1240/103-1240-0000.flac, and 103-1240.trans.txt in the same folder"
TTS_LAYOUT = "train-clean-100/103/1241/103_1241_000000_000001.wav, with .normalized.txt or 103_1241.trans.tsv beside it"
_UNSPOKEN = re.compile(r"\[[^\]]*\]")  # "[Illustration: Village Street]"


def matches_speech(root: Path) -> bool:
    """Whether the folder has the layout of LibriSpeech."""
    return any(name.endswith(".trans.txt") for name in _first_chapter(root))


def matches_tts(root: Path) -> bool:
    """Whether the folder has the layout of LibriTTS."""
    return any(name.endswith((".normalized.txt", ".trans.tsv")) for name in _first_chapter(root))


def _first_chapter(root: Path) -> list[str]:
    """Returns the names in the first folder with recordings."""
    return next((listing(chapter) for subset in _subsets(root) for chapter in _chapters(subset)), [])


def _subsets(root: Path) -> list[Path]:
    """Returns the folders with recordings by readers: the given one, those in it, or those one level below."""
    if not root.is_dir():
        return []
    inner = folders_in(root)
    for level in ([root], inner, [path for folder in inner for path in folders_in(folder)]):
        subsets = [folder for folder in level if any(_chapters(folder))]
        if subsets:
            return subsets
    return []


def _chapters(subset: Path) -> Iterator[Path]:
    """Yields the chapters of all readers: folders of recordings, READER/CHAPTER, both numbers."""
    for reader in folders_in(subset):
        if is_number(reader.name):
            for chapter in folders_in(reader):
                if is_number(chapter.name) and best_suffix_last(listing(chapter)):
                    yield chapter


def _chosen(root: Path, name: str, wanted: Sequence[str]) -> list[Path]:
    """Returns the wanted subsets; all, if none is named.

    Raises:
        UserError: a subset is not there.
    """
    found = {folder.name: folder for folder in _subsets(root)}
    for subset in wanted:
        if subset not in found:
            near = difflib.get_close_matches(subset, found, 1)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise UserError(
                f"preprocess.subsets: {name} in {root} has no {subset}{hint} There are: {', '.join(found)}", 2
            )
    return [found[subset] for subset in wanted] if wanted else list(found.values())


def read_speech(root: Path, name: str, needs_text: bool = True, subsets: Sequence[str] = ()) -> Corpus:
    """Reads LibriSpeech. Texts become lower case: in capitals, words would look like abbreviations.

    Raises:
        UserError: a subset is not there.
    """
    chosen = _chosen(root, name, subsets)
    entries = (entry for subset in chosen for chapter in _chapters(subset) for entry in _speech_chapter(chapter))
    return to_corpus(entries, _title("LibriSpeech", chosen), needs_text)


def _speech_chapter(chapter: Path) -> Iterator[Entry]:
    texts = {}
    for name in listing(chapter):
        if name.endswith(".trans.txt"):
            for line in read_bytes(chapter / name).splitlines():
                utt_id, _, text = line.partition(b" ")
                texts[utt_id.decode("ascii", "replace")] = text.lower()
    yield from _joined(chapter, texts)


def read_tts(root: Path, name: str, needs_text: bool = True, subsets: Sequence[str] = ()) -> Corpus:
    """Reads LibriTTS or LibriTTS-R. The text is the normalized one, without parts in brackets, which nobody spoke.

    Raises:
        UserError: a subset is not there.
    """
    chosen = _chosen(root, name, subsets)
    mended: list[Mended] = []
    entries = [
        _without_brackets(entry, mended)
        for subset in chosen
        for chapter in _chapters(subset)
        for entry in _tts_chapter(chapter)
    ]
    return to_corpus(entries, _title("LibriTTS", chosen), needs_text, mended)


def _tts_chapter(chapter: Path) -> Iterator[Entry]:
    texts = {}
    names = listing(chapter)
    for name in names:
        if name.endswith(".trans.tsv"):
            for line in read_bytes(chapter / name).splitlines():
                columns = line.split(b"\t")
                if len(columns) >= 3:  # id, original, normalized
                    texts[columns[0].decode("ascii", "replace")] = columns[2]
    for name in names:
        if name.endswith(".normalized.txt"):
            texts[name.removesuffix(".normalized.txt")] = read_bytes(chapter / name)
    yield from _joined(chapter, texts)


def _joined(chapter: Path, texts: dict[str, bytes]) -> Iterator[Entry]:
    recordings = recordings_in(chapter)
    for utt_id in sorted({*texts, *recordings}):
        yield Entry(utt_id, chapter.parent.name, texts.get(utt_id), recordings.get(utt_id))


def _without_brackets(entry: Entry, mended: list[Mended]) -> Entry:
    text = entry.text.decode("utf-8", "replace") if isinstance(entry.text, bytes) else ""
    spoken = _UNSPOKEN.sub(" ", text)
    if spoken == text:
        return entry
    mended.append(Mended(entry.utt_id, "text in brackets is left out", clean(text)))
    return entry._replace(text=clean(spoken))


def _title(name: str, subsets: Sequence[Path]) -> str:
    return f"{name}: {', '.join(subset.name for subset in subsets)}"
