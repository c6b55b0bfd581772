"""LJSpeech-1.1 and every corpus in its layout: metadata.csv beside wavs/."""

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

    The text is the normalized column where a line has one. Quotation marks are text: the format knows no quoting.
    BOM and CRLF are accepted. A line that cannot be used is skipped with its reason, never the whole file.

    Args:
        root: folder of the corpus.
        name: of the corpus, which is also its one speaker's.
        needs_text: False: texts are not read, so that a line without a usable one is used as well.

    Raises:
        UserError: the folder or its metadata.csv is missing or cannot be read.
    """
    path = root / METADATA
    if not root.is_dir():
        raise UserError(f'dataset_path.{name} = "{root}": no such folder; it must hold {LAYOUT}')
    if not path.is_file():
        raise UserError(f'dataset_path.{name} = "{root}": there is no {METADATA}; the folder must hold {LAYOUT}')
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None

    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{path}: is in UTF-16, as spreadsheets save it: save it as UTF-8")
    if b"\n" not in data:  # line ends of old Macintosh programs
        data = data.replace(b"\r", b"\n")
    if not data.strip():
        raise UserError(f'{path}: is empty; it must hold lines "id|text" or "id|text|normalized text"')

    corpus = Corpus([], [], [])
    recordings = _recordings(root / "wavs")

    def path_of(utt_id: str) -> Path:
        return recordings.get(utt_id, root / "wavs" / f"{utt_id}.wav")

    seen: set[str] = set()
    # Not splitlines(): a text may hold characters that it takes for line ends, such as U+2028.
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if raw.strip():
            _read_line(raw, f"line {number}", path_of, name, needs_text, corpus, seen)
    return corpus


def _recordings(folder: Path) -> dict[str, Path]:
    """Recordings by id, whatever their format and the case of its suffix; of several, the first of AUDIO_SUFFIXES."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:  # stage 1 says of each recording that it is missing
        names = []
    paths = {}
    for suffix in reversed(AUDIO_SUFFIXES):
        paths.update({name[: -len(suffix)]: folder / name for name in names if name.lower().endswith(suffix)})
    return paths


def _read_line(
    raw: bytes,
    place: str,
    path_of: Callable[[str], Path],
    name: str,
    needs_text: bool,
    corpus: Corpus,
    seen: set[str],
) -> None:
    """Adds one line's utterance, or why there is none, to `corpus`."""

    def skip(utt_id: str, reason: str, detail: str = "") -> None:
        corpus.skipped.append(Skipped(utt_id, reason, detail))

    try:
        columns = [column.strip() for column in raw.decode("utf-8", "strict" if needs_text else "replace").split("|")]
    except UnicodeDecodeError as error:
        return skip(place, "metadata line is not UTF-8", f"byte {error.start} of the line; save {METADATA} as UTF-8")
    utt_id = columns[0]
    if utt_id[:1] == '"':
        return skip(utt_id, "metadata line is quoted", f"{place}; write {METADATA} without quotes around its columns")
    if not _is_plain(utt_id):
        return skip(place, "id is not usable as a file name", repr(utt_id))
    if needs_text and len(columns) not in (2, 3):
        number = "1 column" if len(columns) == 1 else f"{len(columns)} columns"
        return skip(utt_id, "metadata line has missing or extra columns", f"{place}: {number}, expected 2 or 3")
    if utt_id in seen:
        return skip(utt_id, "id occurs twice", f"{place}; the first one is kept")
    seen.add(utt_id)
    wav_path = path_of(utt_id)
    if not needs_text:
        corpus.utterances.append(Utterance(utt_id, name, "", wav_path))
        return
    if not columns[-1] and columns[1]:
        corpus.mended.append(Mended(utt_id, "normalized text is empty: the raw text is used", ""))
    text = columns[-1] or columns[1]
    if not text:
        return skip(utt_id, "text is empty", place)
    corpus.utterances.append(Utterance(utt_id, name, text, wav_path))


def _is_plain(utt_id: str) -> bool:
    """Whether an id names a file inside the corpus's folder and nothing else."""
    return bool(utt_id) and utt_id not in (".", "..") and utt_id.isprintable() and not set(utt_id) & set("/\\")
