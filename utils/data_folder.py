"""The data folder that stage 1 writes and stages 2 and 3 read: its file names, its rows and its lock.

<processed_dir>/<dataset>/
    train.jsonl, valid.jsonl, test.jsonl, golden_test.jsonl    one row per utterance
    shards/shard-00000.safetensors ...                         the features (utils.shards)
    symbols.json, stats.json, speakers.json                    acoustic features only
    acoustic.json                                              teacher-forced data only: the acoustic model
    report.json, report.md                                     a summary of the run
    preprocess.lock.json                                       settings and inputs of the features; written last
    .lyre-data                                                 marks the folder as one that stage 1 may change
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from utils.errors import UserError
from utils.jsonl import read_jsonl

SPLITS = ("train", "valid", "test", "golden_test")
SHARDS = "shards"
LOCK = "preprocess.lock.json"
SYMBOLS_TABLE, STATS, SPEAKERS = "symbols.json", "stats.json", "speakers.json"
TABLES = (SYMBOLS_TABLE, STATS, SPEAKERS)  # an experiment keeps a copy of them
ACOUSTIC = "acoustic.json"
REPORTS = ("report.json", "report.md")
ALIGNMENT = "alignment.json"  # of a learned alignment; written after all of its TextGrids
MARKER = ".lyre-data"  # says that stage 1 may overwrite and delete files in this folder

# Must be increased with every change to text/, modules/mel.py or processors/ that changes features; it invalidates
# all shards.
FEATURES_VERSION = 3

# acoustic: mels, and the durations, pitch and energy of phones. clips: audio for a vocoder. teacher-forced: clips with
# the mels of an acoustic model, to fine-tune a vocoder.
Kind = Literal["acoustic", "clips", "teacher-forced"]


class AcousticRow(TypedDict):
    """One utterance in the manifest of acoustic features."""

    utt_id: str
    speaker: str
    text: str
    phones: list[str]
    num_frames: int
    first_frame: int  # number of mel frames before the first phone, which are cut off
    shard: str  # name of the shard that holds its features
    dataset: NotRequired[str]  # added by read_split, as in the next class


class ClipRow(TypedDict):
    """One clip in the manifest of clips or teacher-forced data."""

    utt_id: str
    speaker: str
    num_samples: int
    shard: str
    dataset: NotRequired[str]


class Teacher(TypedDict):
    """The acoustic model that made teacher-forced data."""

    experiment: str
    checkpoint: str
    weights: str  # SHA-256


class _AnyLock(TypedDict):
    kind: Kind
    preprocess: dict[str, object]  # the preprocess section of the configuration, without paths
    dataset: str
    features_version: int
    inputs: str  # SHA-256 of everything the files depend on


class Lock(_AnyLock, total=False):
    """The settings and inputs of finished features."""

    files: dict[str, str]  # file name -> SHA-256; absent from teacher-forced data
    acoustic: Teacher  # teacher-forced data only


def read_split(data_dirs: Sequence[Path], split: str) -> list[dict[str, Any]]:
    """Reads the manifests of a split in one or several data folders.

    Returns:
        Rows with the additional field "dataset", the name of their folder. If there are several folders, a shard's
        name is `DATA_FOLDER/SHARD`.

    Raises:
        UserError: a manifest is missing or damaged.
    """
    rows = []
    for data_dir in data_dirs:
        prefix = f"{data_dir.name}/" if len(data_dirs) > 1 else ""
        for row in read_jsonl(data_dir / f"{split}.jsonl"):
            rows.append({**row, "shard": f"{prefix}{row['shard']}", "dataset": data_dir.name})
    return rows


def claim(data_dir: Path, *inputs: Path) -> None:
    """Marks a folder as a data folder, in which stage 1 overwrites files and deletes stale ones.

    Args:
        data_dir: the folder; it need not exist.
        inputs: folders of the user's files that stage 1 reads; none may be in the data folder.

    Raises:
        UserError: the folder has, or contains a folder of, files that stage 1 did not write.
        OSError: the folder cannot be written.
    """
    remedy = "Set preprocess.processed_dir to another folder."
    for folder in inputs:
        if folder.resolve().is_relative_to(data_dir.resolve()):
            raise UserError(
                f"{data_dir}: stage 1 overwrites and deletes files in this folder, which contains {folder}. {remedy}", 2
            )
    # Folders of earlier versions have no marker.
    ours = any((data_dir / name).exists() for name in (MARKER, LOCK, SHARDS, REPORTS[0], ALIGNMENT))
    foreign = [] if ours or not data_dir.is_dir() else sorted(path.name for path in data_dir.glob("[!.]*"))
    if foreign:
        raise UserError(
            f"{data_dir}: stage 1 overwrites and deletes files in this folder, but there are files that it did not "
            f"write, such as {foreign[0]}. {remedy}",
            2,
        )
    if not (data_dir / MARKER).exists():  # else a run with nothing to do would change the folder
        data_dir.mkdir(parents=True, exist_ok=True)
        (data_dir / MARKER).touch()


def read_lock(data_dir: Path) -> Lock | None:
    """Returns the lock of a data folder, or None if it is missing, damaged or of another `FEATURES_VERSION`."""
    try:
        lock = json.loads((data_dir / LOCK).read_text(encoding="utf-8"))
        return lock if lock["features_version"] == FEATURES_VERSION else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def acoustic_dataset(dataset: str, acoustic_dir: Path) -> str:
    """Returns the name of the data folder for a corpus's clips with an acoustic model's mels.

    It contains the names of the experiment and of the checkpoint, if one is given: many experiments have a
    step-0001000.

    Args:
        dataset: name of the corpus.
        acoustic_dir: folder of the experiment, or a checkpoint in it.
    """
    folder = acoustic_dir.resolve()
    root = next((parent for parent in (folder, *folder.parents[:2]) if (parent / "args.json").is_file()), folder)
    inside = [part for part in folder.relative_to(root).parts if part != "checkpoint"]
    return "-".join([dataset, root.name, *inside])
