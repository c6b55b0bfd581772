"""Reader of a folder of recordings without texts, for training vocoders."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from utils.errors import UserError
from utils.output_names import safe_name
from utils.utterance import AUDIO_SUFFIXES, Corpus, Utterance

LAYOUT = f"recordings ({', '.join(AUDIO_SUFFIXES)}), in folders of any depth"


def read(root: Path, name: str) -> Corpus:
    """Finds every recording in a folder and its subfolders; hidden files and folders are ignored.

    The speaker is the topmost subfolder, or the corpus if a recording is in none. For the ids see `ids`.

    Args:
        root: the folder, which exists.
        name: of the corpus.

    Raises:
        UserError: the folder has no recordings, or a subfolder cannot be read.
    """
    paths = sorted(_recordings(root, name))
    if not paths:
        raise UserError(f'dataset_path.{name} = "{root}": no recording was found; the folder must contain {LAYOUT}')
    names = ids(paths)
    utterances = [
        Utterance(names[path], readable(path.parts[0]) if len(path.parts) > 1 else name, "", root / path)
        for path in paths
    ]
    return Corpus(utterances, [], [], "recordings without texts")


def ids(paths: Sequence[Path]) -> dict[Path, str]:
    """Returns an id for each path relative to the corpus: its parts with "_" between them, without the suffix.

    `ann/day 1/take3.flac` becomes `ann_day_1_take3`. If several paths would get the same id, a hash of the path is
    added to each.
    """
    plain = {path: safe_name("_".join(_bare(path).parts)) for path in paths}
    uses = Counter(plain.values())
    return {path: name if uses[name] == 1 else f"{name}-{_hash(path)}" for path, name in plain.items()}


def best_suffix_last(names: Iterable[str]) -> list[str]:
    """Returns the recordings among file names, so that of equal stems the preferred format comes last."""
    found = [name for name in names if name.lower().endswith(AUDIO_SUFFIXES)]
    return sorted(found, key=lambda name: (-AUDIO_SUFFIXES.index(os.path.splitext(name)[1].lower()), name))


def readable(name: str) -> str:
    """Returns a file name as text that can be written; bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(name).decode("utf-8", "replace")


def _recordings(root: Path, name: str) -> list[Path]:
    """Returns paths relative to the folder. Links to folders are followed, each folder once."""

    def fail(error: OSError) -> None:
        raise UserError(f"dataset_path.{name}: {error.filename}: {error.strerror}") from None

    recordings, seen = [], set()
    for folder, folders, files in os.walk(root, onerror=fail, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else sorted(inner for inner in folders if not inner.startswith("."))
        if real in seen:  # two links to one folder, or a link to a folder above it
            continue
        seen.add(real)
        recordings += [
            Path(folder, file).relative_to(root)
            for file in files
            if file.lower().endswith(AUDIO_SUFFIXES) and not file.startswith(".")
        ]
    return recordings


def _bare(path: Path) -> Path:
    return path.with_suffix("") if path.suffix.lower() in AUDIO_SUFFIXES else path


def _hash(path: Path) -> str:
    return hashlib.sha256(path.as_posix().encode("utf-8", "surrogateescape")).hexdigest()[:8]
