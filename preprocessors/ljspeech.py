"""Reader of LJSpeech-1.1 and of every corpus in its layout: metadata.csv beside wavs/."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from utils.errors import UserError
from utils.utterance import AUDIO_SUFFIXES, Corpus, Mended, Skipped, Utterance

METADATA = "metadata.csv"
LAYOUT = f'{METADATA} with lines "id|text" or "id|text|normalized text", and wavs/<id>.wav (or another format)'


def read(root: Path, name: str, needs_text: bool = True) -> Corpus:
    """Reads a corpus in LJSpeech's layout.

    The text is the normalized column if a line has one. Quotation marks are text, as the format has no quoting. BOM and
    CRLF are accepted. A line that cannot be used is skipped with a reason; the rest of the file is read.

    Args:
        root: folder of the corpus.
        name: of the corpus, and of its only speaker.
        needs_text: if False, texts are not read, and a line without a usable text is kept.

    Raises:
        UserError: the folder or its metadata.csv is missing, or metadata.csv cannot be read.
    """
    path = root / METADATA
    if not root.is_dir():
        raise UserError(f'dataset_path.{name} = "{root}": no such folder; it must contain {LAYOUT}')
    if not path.is_file():
        raise UserError(f'dataset_path.{name} = "{root}": there is no {METADATA}; the folder must contain {LAYOUT}')
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None

    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{path}: the file is UTF-16, as some spreadsheets save it; save it as UTF-8")
    if b"\n" not in data:  # line ends of old Macintosh programs
        data = data.replace(b"\r", b"\n")
    if not data.strip():
        raise UserError(f'{path}: the file is empty; it must contain lines "id|text" or "id|text|normalized text"')

    corpus = Corpus([], [], [])
    recordings = _recordings(root / "wavs")

    def path_of(utt_id: str) -> Path:
        return recordings.get(utt_id, root / "wavs" / f"{utt_id}.wav")

    seen: set[str] = set()
    # Not splitlines(), which also splits at characters that a text may contain, such as U+2028.
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if raw.strip():
            _read_line(raw, f"line {number}", path_of, name, needs_text, corpus, seen)
    return corpus


def _recordings(folder: Path) -> dict[str, Path]:
    """Returns the recordings by id. Suffix case is ignored; of several formats, the first in AUDIO_SUFFIXES wins."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:  # stage 1 reports each recording as missing
        names = []
    paths = {}
    for suffix in reversed(AUDIO_SUFFIXES):
        paths.update({name[: -len(suffix)]: folder / name for name in names if name.lower().endswith(suffix)})
    return paths


def _read_line(
    raw: bytes,
    position: str,
    path_of: Callable[[str], Path],
    name: str,
    needs_text: bool,
    corpus: Corpus,
    seen: set[str],
) -> None:
    """Adds the utterance of one line, or the reason for skipping it, to `corpus`."""

    def skip(utt_id: str, reason: str, detail: str = "") -> None:
        corpus.skipped.append(Skipped(utt_id, reason, detail))

    try:
        columns = [column.strip() for column in raw.decode("utf-8", "strict" if needs_text else "replace").split("|")]
    except UnicodeDecodeError as error:
        return skip(position, "metadata line is not UTF-8", f"byte {error.start} of the line; save {METADATA} as UTF-8")
    utt_id = columns[0]
    if utt_id[:1] == '"':
        return skip(
            utt_id, "metadata line is quoted", f"{position}; write {METADATA} without quotes around its columns"
        )
    if not _is_plain(utt_id):
        return skip(position, "id is not usable as a file name", repr(utt_id))
    if needs_text and len(columns) not in (2, 3):
        number = "1 column" if len(columns) == 1 else f"{len(columns)} columns"
        return skip(utt_id, "metadata line has missing or extra columns", f"{position}: {number}, expected 2 or 3")
    if utt_id in seen:
        return skip(utt_id, "id occurs twice", f"{position}; the first one is kept")
    seen.add(utt_id)
    wav_path = path_of(utt_id)
    if not needs_text:
        corpus.utterances.append(Utterance(utt_id, name, "", wav_path))
        return
    if not columns[-1] and columns[1]:
        corpus.mended.append(Mended(utt_id, "normalized text is empty: the raw text is used", ""))
    text = columns[-1] or columns[1]
    if not text:
        return skip(utt_id, "text is empty", position)
    corpus.utterances.append(Utterance(utt_id, name, text, wav_path))


def _is_plain(utt_id: str) -> bool:
    """Whether an id names a file inside the corpus's folder and nothing else."""
    return bool(utt_id) and utt_id not in (".", "..") and utt_id.isprintable() and not set(utt_id) & set("/\\")
