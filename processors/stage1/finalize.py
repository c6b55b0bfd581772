"""From finished shards to what stage 2 reads: sets, manifests, statistics, tables, report and, last, the lock."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from config.schema import AudioConfig, PreprocessConfig
from processors.stage1.plan import FEATURES_VERSION, ShardPlan, section_of_lock
from processors.stage1.report import build_report, count_phones, reasons_table, render_page
from processors.stage1.splits import Splits, split
from processors.stage1.stats import phone_statistics
from text.symbols import SYMBOLS
from utils.atomic import write_text
from utils.errors import UserError
from utils.jsonl import write_json, write_jsonl
from utils.shards import feature_key, read_features, shard_path
from utils.utterance import Corpus, Mended, Skipped

LOCK = "preprocess.lock.json"
_MANIFESTS = tuple(f"{name}.jsonl" for name in Splits._fields)
_TABLES = ("stats.json", "symbols.json", "speakers.json")  # of an acoustic model's features alone
_REPORTS = ("report.json", "report.md")


def inputs_digest(
    plans: Sequence[ShardPlan], corpus: Corpus, config: AudioConfig, alignment: Mapping[str, Any] | None
) -> str:
    """A hash of all that the files of `finalize` depend on."""
    parts = [[plan.name, plan.fingerprint] for plan in plans]
    facts = [FEATURES_VERSION, section_of_lock(config), parts, corpus.skipped, corpus.mended, alignment]
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def is_final(out_dir: Path, digest: str) -> bool:
    """Whether the lock is there, made from the same inputs, and every file is as it was then."""
    try:
        lock = json.loads((out_dir / LOCK).read_text(encoding="utf-8"))
        return lock["inputs"] == digest and lock["files"] == _digests(out_dir, lock["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def holds_acoustic_features(out_dir: Path) -> bool:
    """Whether stage 1 has finished an acoustic model's features in a folder."""
    return any((out_dir / name).exists() for name in _TABLES)


def holds_clips(out_dir: Path) -> bool:
    """Whether stage 1 has finished a vocoder's clips in a folder."""
    try:
        return "trim_db" in json.loads((out_dir / LOCK).read_text(encoding="utf-8"))["preprocess"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def finalize(
    out_dir: Path,
    dataset: str,
    headers: Iterable[Mapping[str, Any]],
    corpus: Corpus,
    config: AudioConfig,
    digest: str,
    alignment: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Writes everything beside the shards; equal shards give equal bytes.

    Args:
        out_dir: `<processed_dir>/<dataset>`.
        dataset: name of the corpus.
        headers: of all shards.
        corpus: what its reader found.
        config: the preprocess section; an acoustic model's features have tables besides.
        digest: of the inputs, for the lock.
        alignment: what is worth telling about a learned alignment; None where TextGrids were there.

    Returns:
        The report.

    Raises:
        UserError: no utterance is left, or none to train on; the reports are written all the same.
        OSError: a file cannot be written.
    """
    headers = list(headers)
    records = sorted((record for header in headers for record in header["records"]), key=lambda r: r["utt_id"])
    skipped = [*corpus.skipped, *(Skipped(*entry) for header in headers for entry in header["skipped"])]
    kept = {record["utt_id"] for record in records}
    mended = [*corpus.mended, *(Mended(*entry) for header in headers for entry in header["mended"])]
    mended = [note for note in mended if note.utt_id in kept]
    splits = split(sorted(kept), config.valid_fraction, config.test_fraction, config.split_seed)
    sizes = {name: len(ids) for name, ids in splits._asdict().items()}

    acoustic = isinstance(config, PreprocessConfig)
    if acoustic:
        seconds = sum(record["num_frames"] for record in records) * (config.hop_size / config.sample_rate)
    else:
        seconds = sum(record["num_samples"] for record in records) / config.sample_rate
    report = build_report(dataset, records, skipped, mended, sizes, seconds)
    if acoustic:
        report |= count_phones(records)
    if alignment is not None:
        report["alignment"] = dict(alignment)
    write_json(out_dir / "report.json", report)
    write_text(out_dir / "report.md", render_page(report))
    if not splits.train:
        raise UserError(
            f"no utterance of {dataset} can be used; reasons (all of them in {out_dir / 'report.md'}):\n"
            + "\n".join(reasons_table(report))
        )
    by_id = {record["utt_id"]: record for record in records}
    for name, ids in splits._asdict().items():
        write_jsonl(out_dir / f"{name}.jsonl", (by_id[utt_id] for utt_id in ids))
    if acoustic:
        write_json(out_dir / "stats.json", _statistics(out_dir / "shards", [by_id[utt_id] for utt_id in splits.train]))
        write_json(out_dir / "symbols.json", list(SYMBOLS))
        write_json(out_dir / "speakers.json", {name: index for index, name in enumerate(report["speakers"])})
    lock = {
        "preprocess": section_of_lock(config),
        "dataset": dataset,
        "features_version": FEATURES_VERSION,
        "inputs": digest,
        "files": _digests(out_dir, (*_MANIFESTS, *(_TABLES if acoustic else ()), *_REPORTS)),
    }
    write_json(out_dir / LOCK, lock)
    return report


def _digests(out_dir: Path, names: Iterable[str]) -> dict[str, str]:
    return {name: hashlib.sha256((out_dir / name).read_bytes()).hexdigest() for name in names}


def _statistics(shards_dir: Path, records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Statistics of phone pitch and energy over these utterances' phones that have frames."""
    by_shard: dict[str, list[str]] = {}
    for record in records:
        by_shard.setdefault(record["shard"], []).append(record["utt_id"])
    values: dict[str, list[np.ndarray]] = {"pitch": [], "energy": []}
    for shard, utt_ids in sorted(by_shard.items()):
        arrays = read_features(shard_path(shards_dir, shard), utt_ids, ("durations", "phone_pitch", "phone_energy"))
        for utt_id in utt_ids:
            heard = arrays[feature_key(utt_id, "durations")] > 0
            for name, found in values.items():
                found.append(arrays[feature_key(utt_id, f"phone_{name}")][heard])
    return {name: phone_statistics(np.concatenate(found)) for name, found in values.items()}
