"""What all readers share: finding recordings, cleaning texts, and sorting out what cannot be used."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from preprocessors.recordings import best_suffix_last
from utils.errors import UserError
from utils.utterance import Corpus, Mended, Skipped, Utterance


class Entry(NamedTuple):
    """A text, a recording, or both, as a reader finds them in a corpus."""

    utt_id: str
    speaker: str
    text: str | bytes | None  # None: there is no text for the recording
    wav_path: Path | None  # None: there is no recording for the text
    split: str = ""  # as in Utterance


def to_corpus(entries: Iterable[Entry], layout: str, needs_text: bool, mended: Iterable[Mended] = ()) -> Corpus:
    """Keeps the entries that can be used; all others are skipped, each with its reason.

    Args:
        entries: in the order of the corpus.
        layout: name of the layout, for the user.
        needs_text: if False, a recording without a usable text is kept, with the text "".
        mended: what the reader has fixed.
    """
    corpus = Corpus([], [], list(mended), layout)
    seen = set()
    for entry in entries:
        text, problem = _text_of(entry.text)
        if entry.wav_path is None:
            if not needs_text:
                continue
            problem = "text without a recording"
        elif entry.utt_id in seen:
            problem = "id occurs twice"
        elif problem and not needs_text:
            text, problem = "", ""
        if problem:
            corpus.skipped.append(Skipped(entry.utt_id, problem, ""))
            continue
        assert entry.wav_path is not None
        seen.add(entry.utt_id)
        corpus.utterances.append(Utterance(entry.utt_id, entry.speaker, text, entry.wav_path, entry.split))
    return corpus


def _text_of(text: str | bytes | None) -> tuple[str, str]:
    """Returns a text, and what is wrong with it or ""."""
    if text is None:
        return "", "recording without a text"
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError:
            return "", "text is not UTF-8"
    text = clean(text)
    return text, "" if text else "text is empty"


def clean(text: str) -> str:
    """Returns a text without byte-order mark, line ends and runs of blanks, in Unicode's composed form (NFC)."""
    return " ".join(unicodedata.normalize("NFC", text.removeprefix("\ufeff")).split())


def recordings_in(folder: Path) -> dict[str, Path]:
    """Returns a folder's recordings by stem. Suffix case is ignored; of several formats, the preferred one wins."""
    return {os.path.splitext(name)[0]: folder / name for name in best_suffix_last(listing(folder))}


def listing(folder: Path) -> list[str]:
    """Returns the sorted names in a folder, without hidden ones; none if it is not there."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def folders_in(folder: Path) -> list[Path]:
    """Returns the sorted folders in a folder, without hidden ones."""
    return [folder / name for name in listing(folder) if (folder / name).is_dir()]


def find_root(root: Path, fits: Callable[[Path], bool]) -> Path | None:
    """Returns the given folder or, as archives unpack to a folder of their own, one inside it; None if none fits."""
    return next((folder for folder in (root, *folders_in(root)) if fits(folder)), None) if root.is_dir() else None


def read_bytes(path: Path) -> bytes:
    """Reads a file of a corpus.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def is_plain(utt_id: str) -> bool:
    """Whether an id names a file inside the corpus's folder and nothing else."""
    return bool(utt_id) and utt_id not in (".", "..") and utt_id.isprintable() and not set(utt_id) & set("/\\")


def is_number(name: str) -> bool:
    """Whether a name consists of digits, as LibriVox's readers and chapters do."""
    return re.fullmatch(r"[0-9]+", name) is not None
