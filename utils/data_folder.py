"""The data folder that stage 1 writes and stages 2 and 3 read: its file names and its rows.

<processed_dir>/<dataset>/
    train.jsonl, valid.jsonl, test.jsonl, golden_test.jsonl    one row an utterance
    shards/shard-00000.safetensors ...                         the features (utils.shards)
    symbols.json, stats.json, speakers.json                    only where the features are an acoustic model's
    report.json, report.md                                     for people
    preprocess.lock.json                                       the settings; written last
"""

from __future__ import annotations

from typing import TypedDict

SPLITS = ("train", "valid", "test", "golden_test")
SHARDS = "shards"
LOCK = "preprocess.lock.json"
TABLES = ("symbols.json", "stats.json", "speakers.json")  # an experiment keeps a copy of them
REPORTS = ("report.json", "report.md")


class AcousticRow(TypedDict):
    """One utterance in the manifest of an acoustic model's features."""

    utt_id: str
    speaker: str
    text: str
    phones: list[str]
    num_frames: int
    first_frame: int  # mel frames of the recording before the first phone, which are cut off
    shard: str  # name of the shard that holds its features


class ClipRow(TypedDict):
    """One recording in the manifest of a vocoder's features."""

    utt_id: str
    speaker: str
    num_samples: int
    shard: str
