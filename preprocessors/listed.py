"""Reader of recordings with a list of texts: LJSpeech-1.1, and the lists that people write for their own corpora.

LJSpeech's `metadata.csv` has lines "id|text|normalized text". Others have tabs or commas, a header, paths as ids, or a
column for the speaker.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from preprocessors.entries import is_plain, listing, read_bytes, recordings_in
from utils.errors import UserError
from utils.output_names import safe_name
from utils.utterance import AUDIO_SUFFIXES, Corpus, Mended, Skipped, Utterance

METADATA = "metadata.csv"
LAYOUT = f'{METADATA} with lines "id|text" or "id|text|normalized text", and wavs/<id>.wav (or another format)'
_LISTS = (METADATA, "metadata.tsv", "metadata.psv", "metadata.txt")
_FOLDERS = ("wavs", "wav", "audio", "clips", "recordings", "")  # where the recordings may be, the first first
# Names of columns in a header, in lower case -> what they hold.
_NAMES = {
    **dict.fromkeys(("id", "utt_id", "basename", "file", "filename", "file_name", "path", "wav", "audio"), "id"),
    **dict.fromkeys(("audio_file", "audio_path", "audio_filepath", "wav_path"), "id"),
    **dict.fromkeys(("text", "transcript", "transcription", "sentence", "raw_text"), "text"),
    **dict.fromkeys(("normalized", "normalized_text", "normalised_text", "text_normalized"), "normalized"),
    **dict.fromkeys(("speaker", "speaker_name", "speaker_id", "client_id", "spk"), "speaker"),
}


class _Table(NamedTuple):
    """How the lines of a list are to be read."""

    separator: str
    columns: dict[str, int]  # "id", "text", "normalized", "speaker" -> position; empty: LJSpeech's two or three
    has_header: bool

    def split(self, line: str) -> list[str]:
        """Returns the columns of a line. Only between commas are quotation marks not a part of the text."""
        if self.separator == ",":
            return [column.strip() for column in next(csv.reader([line], skipinitialspace=True))]
        if self.separator == "|":
            return [column.replace("\\|", "|").strip() for column in re.split(r"(?<!\\)\|", line)]
        return [column.strip() for column in line.split(self.separator)]


def matches(root: Path) -> bool:
    """Whether there is a list."""
    return any((root / name).is_file() for name in _LISTS)


def read(root: Path, name: str, needs_text: bool = True) -> Corpus:
    """Reads a corpus with a list.

    The text is the normalized one if a line has it. BOM and CRLF are accepted. A line that cannot be used is skipped
    with a reason; the rest of the list is read.

    Args:
        root: folder of the corpus; `matches` must be true.
        name: of the corpus, and of its speaker if the list has no column for speakers.
        needs_text: if False, texts are not needed, and a line without a usable text is kept.

    Raises:
        UserError: the list cannot be read.
    """
    path = next(root / file for file in _LISTS if (root / file).is_file())
    lines = _lines(path)
    table = _table([line.decode("utf-8", "replace") for line in lines if line.strip()])
    corpus = Corpus([], [], [], _title(path.name, table))
    reader = _LineReader(root, name, table, needs_text, corpus)
    header = table.has_header
    for number, raw in enumerate(lines, 1):
        if raw.strip() and not header:
            reader.read(raw, f"line {number}")
        header = header and not raw.strip()
    if needs_text:
        reader.skip_unlisted()
    return corpus


def _lines(path: Path) -> list[bytes]:
    data = read_bytes(path)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{path}: the file is UTF-16, as some spreadsheets save it; save it as UTF-8")
    if b"\n" not in data:  # line ends of old Macintosh programs
        data = data.replace(b"\r", b"\n")
    if not data.strip():
        raise UserError(f'{path}: the file is empty; it must contain lines "id|text" or "id|text|normalized text"')
    # Not splitlines(), which also splits at characters that a text may contain, such as U+2028.
    return data.removeprefix(b"\xef\xbb\xbf").split(b"\n")


def _table(lines: Sequence[str]) -> _Table:
    """Finds out the separator and the columns."""
    separator = next((mark for mark in "|\t," if sum(mark in line for line in lines) * 2 > len(lines)), "|")
    plain = _Table(separator, {}, False)
    names = [_NAMES.get(name.lower(), "") for name in plain.split(lines[0])]
    if "id" in names and {"text", "normalized"} & set(names):
        return _Table(separator, {name: names.index(name) for name in names if name}, True)
    rows = [columns for columns in map(plain.split, lines) if len(columns) == 3]
    # id|text|speaker and id|speaker|text, but only if this is so in all lines: a normalized text may be short, too.
    for speaker, text in ((2, 1), (1, 2)):
        speakers = {row[speaker] for row in rows if _names_a_speaker(row[speaker], row[text])}
        few = 0 < len(speakers) * 2 <= len(rows)
        if few and all(row[speaker] in speakers for row in rows):
            return _Table(separator, {"id": 0, "text": text, "speaker": speaker}, False)
    return plain


def _names_a_speaker(name: str, text: str) -> bool:
    return bool(name) and len(name.split()) <= 2 and name != text and not name.endswith((".", "?", "!"))


def _title(file: str, table: _Table) -> str:
    columns = sorted(table.columns, key=table.columns.__getitem__) or ["id", "text", "normalized text"]
    separator = {"\t": "tabs", ",": "commas", "|": '"|"'}[table.separator]
    return f"a list of texts, {file}: {', '.join(columns)}, with {separator} between"


class _LineReader:
    """Reads the lines of a list, one after the other, into a corpus."""

    def __init__(self, root: Path, name: str, table: _Table, needs_text: bool, corpus: Corpus) -> None:
        self.root, self.name, self.table, self.needs_text, self.corpus = root, name, table, needs_text, corpus
        self.folder = next(
            (folder for folder in _FOLDERS if any(n.lower().endswith(AUDIO_SUFFIXES) for n in listing(root / folder))),
            _FOLDERS[0],
        )
        self.recordings: dict[Path, dict[str, Path]] = {}
        self.seen: set[str] = set()

    def read(self, raw: bytes, position: str) -> None:
        """Adds the utterance of a line, or the reason for skipping it."""
        try:
            line = raw.decode("utf-8", "strict" if self.needs_text else "replace")
        except UnicodeDecodeError as error:
            detail = f"byte {error.start} of the line; save the list as UTF-8"
            return self._skip(position, "metadata line is not UTF-8", detail)
        columns = self.table.split(line)
        at = self.table.columns
        if not at and columns[0][:1] == '"' and self.table.separator != ",":
            detail = f"{position}; write the list without quotes around its columns"
            return self._skip(columns[0], "metadata line is quoted", detail)
        place = columns[at.get("id", 0)] if at.get("id", 0) < len(columns) else ""
        found = self._find(place)
        if found is None:
            return self._skip(position, "id is not usable as a file name", repr(place))
        utt_id, wav_path = found
        needed = max(at.get("id", 0), at.get("text", at.get("normalized", 1))) + 1 if at else 2
        if self.needs_text and (len(columns) < needed or (not at and len(columns) > 3)):
            number = "1 column" if len(columns) == 1 else f"{len(columns)} columns"
            expected = f"at least {needed}" if at else "2 or 3"
            detail = f"{position}: {number}, expected {expected}"
            return self._skip(utt_id, "metadata line has missing or extra columns", detail)
        if utt_id in self.seen:
            return self._skip(utt_id, "id occurs twice", f"{position}; the first one is kept")
        self.seen.add(utt_id)
        text = self._text(utt_id, columns) if len(columns) >= needed else ""
        if not text and self.needs_text:
            return self._skip(utt_id, "text is empty", position)
        speaker = columns[at["speaker"]] if at.get("speaker", len(columns)) < len(columns) else ""
        self.corpus.utterances.append(Utterance(utt_id, speaker or self.name, text, wav_path))

    def skip_unlisted(self) -> None:
        """Reports the recordings that the list does not mention."""
        listed = {utterance.wav_path for utterance in self.corpus.utterances}
        skipped = {entry.utt_id for entry in self.corpus.skipped}
        for stem, path in self._recordings(self.root / self.folder).items():
            if path not in listed and stem not in skipped:
                self._skip(stem, "recording without a text", "")

    def _skip(self, utt_id: str, reason: str, detail: str) -> None:
        self.corpus.skipped.append(Skipped(utt_id, reason, detail))

    def _text(self, utt_id: str, columns: list[str]) -> str:
        at = self.table.columns or {"text": 1, "normalized": 2}
        raw, normalized = (
            columns[at[n]] if at.get(n, len(columns)) < len(columns) else None for n in ("text", "normalized")
        )
        if raw and normalized == "" and self.needs_text:
            self.corpus.mended.append(Mended(utt_id, "normalized text is empty: the raw text is used", ""))
        return normalized or raw or ""

    def _find(self, place: str) -> tuple[str, Path] | None:
        """Returns id and recording of what stands in the column of ids; None if it leaves the corpus's folder."""
        if os.path.isabs(place):
            real, root = os.path.realpath(place), os.path.realpath(self.root)
            if not real.startswith(root + os.sep):
                return None
            place = os.path.relpath(real, root)
        path = PurePosixPath(place)
        if not place or not all(map(is_plain, path.parts)):
            return None
        bare = path.with_suffix("") if path.suffix.lower() in AUDIO_SUFFIXES else path
        for stem in (path, bare):  # an id may end like a file
            for folder in dict.fromkeys((self.folder, "")):
                wav_path = self._recordings(self.root / folder / stem.parent).get(stem.name)
                if wav_path is not None:
                    return self._utt_id(stem), wav_path
        return self._utt_id(bare), self.root / self.folder / f"{bare}.wav"  # stage 1 reports it as missing

    def _utt_id(self, stem: PurePosixPath) -> str:
        if len(stem.parts) == 1:
            return stem.name
        parts = stem.parts[1:] if stem.parts[0] in _FOLDERS else stem.parts
        return safe_name("_".join(parts))

    def _recordings(self, folder: Path) -> dict[str, Path]:
        if folder not in self.recordings:
            self.recordings[folder] = recordings_in(folder)
        return self.recordings[folder]
