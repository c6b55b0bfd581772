"""Reader of Hi-Fi TTS (arXiv:2104.01497): ten readers at 44.1 kHz, and manifests that also determine the splits."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from preprocessors.entries import Entry, find_root, listing, read_bytes, to_corpus
from utils.errors import UserError
from utils.output_names import safe_name
from utils.utterance import Corpus, Skipped

LAYOUT = "92_manifest_clean_train.json and so on, and the recordings in audio/92_clean/"
_MANIFEST = re.compile(r"([0-9]+)_manifest_(clean|other)_(train|dev|test)\.json")
_SPLITS = {"train": "train", "dev": "valid", "test": "test"}


def matches(root: Path) -> bool:
    """Whether the folder, or one in it, has this layout."""
    return find_root(root, _fits) is not None


def _fits(folder: Path) -> bool:
    return any(_MANIFEST.fullmatch(name) for name in listing(folder))


def read(root: Path, name: str, needs_text: bool = True, subsets: Sequence[str] = ()) -> Corpus:
    """Reads the corpus, with its own splits; `matches` must be true.

    Args:
        root: its folder, or the one above it.
        name: of the corpus.
        needs_text: as in `preprocessors.read_corpus`.
        subsets: "clean", "other", or one of a reader such as "92_clean"; empty: all.

    Raises:
        UserError: a subset is not there.
    """
    folder = find_root(root, _fits)
    assert folder is not None
    manifests = [match for name in listing(folder) if (match := _MANIFEST.fullmatch(name))]
    known = {part for match in manifests for part in (match[2], f"{match[1]}_{match[2]}")}
    for subset in subsets:
        if subset not in known:
            raise UserError(
                f"preprocess.subsets: {name} in {root} has no {subset}; there are: {', '.join(sorted(known))}", 2
            )
    skipped: list[Skipped] = []
    entries = (
        entry
        for match in manifests
        if not subsets or {match[2], f"{match[1]}_{match[2]}"} & set(subsets)
        for entry in _entries(folder, match, skipped)
    )
    corpus = to_corpus(entries, "Hi-Fi TTS", needs_text)
    return corpus._replace(skipped=[*corpus.skipped, *skipped])


def _entries(folder: Path, manifest: re.Match[str], skipped: list[Skipped]) -> Iterator[Entry]:
    for number, line in enumerate(read_bytes(folder / manifest[0]).splitlines(), 1):
        where = f"{manifest[0]}, line {number}"
        try:
            row = json.loads(line) if line.strip() else None
            if row is None:
                continue
            path, text = PurePosixPath(row["audio_filepath"]), row["text_normalized"]
        except (ValueError, KeyError, TypeError):
            skipped.append(Skipped(where, "manifest line is not a JSON object with a path and a text", ""))
            continue
        file = folder / path
        if not os.path.realpath(file).startswith(os.path.realpath(folder) + os.sep):
            skipped.append(Skipped(where, "recording is outside the folder of the corpus", str(path)))
            continue
        utt_id = safe_name("_".join(path.with_suffix("").parts).removeprefix("audio_"))
        split = _SPLITS[manifest[3]]
        yield Entry(utt_id, manifest[1], str(text), file if file.is_file() else None, split)
