"""Writes the files beside the shards: manifests, statistics, tables, the report and, last, the lock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from config.schema import AudioConfig, PreprocessConfig
from processors.stage1.lock import write_lock
from processors.stage1.report import build_report, count_phones, reasons_table, render_page
from processors.stage1.shard_set import ShardHeader
from processors.stage1.splits import split
from processors.stage1.stats import Statistics, corpus_statistics
from text.symbols import SYMBOLS
from utils.atomic import write_text
from utils.data_folder import REPORTS, SHARDS, SPEAKERS, SPLITS, STATS, SYMBOLS_TABLE, TABLES
from utils.errors import UserError
from utils.jsonl import write_json, write_jsonl
from utils.shards import feature_key, read_features, shard_path
from utils.utterance import Corpus, Mended, Skipped


def finalize(
    out_dir: Path,
    dataset: str,
    headers: Iterable[ShardHeader],
    corpus: Corpus,
    config: AudioConfig,
    digest: str,
    alignment: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Writes the files beside the shards; equal shards lead to equal bytes.

    Args:
        out_dir: `<processed_dir>/<dataset>`.
        dataset: name of the corpus.
        headers: of all shards.
        corpus: from its reader.
        config: the preprocess section; the features of an acoustic model also have tables.
        digest: from `inputs_digest`, for the lock.
        alignment: the report on a learned alignment, if there is one.

    Returns:
        The report.

    Raises:
        UserError: no utterance is left, or none for training; the reports are written nevertheless.
        OSError: a file cannot be written.
    """
    headers = list(headers)
    records = sorted((record for header in headers for record in header["records"]), key=lambda r: r["utt_id"])
    skipped = [*corpus.skipped, *(Skipped(*entry) for header in headers for entry in header["skipped"])]
    kept = {record["utt_id"] for record in records}
    mended = [*corpus.mended, *(Mended(*entry) for header in headers for entry in header["mended"])]
    mended = [note for note in mended if note.utt_id in kept]
    utterances = [utterance for utterance in corpus.utterances if utterance.utt_id in kept]
    splits = split(utterances, config.valid_fraction, config.test_fraction, config.split_seed)
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
            f"no utterance of {dataset} can be used; reasons (all are in {out_dir / 'report.md'}):\n"
            + "\n".join(reasons_table(report))
        )
    by_id = {record["utt_id"]: record for record in records}
    for name, ids in splits._asdict().items():
        write_jsonl(out_dir / f"{name}.jsonl", (by_id[utt_id] for utt_id in ids))
    if acoustic:
        write_json(out_dir / STATS, _statistics(out_dir / SHARDS, [by_id[utt_id] for utt_id in splits.train]))
        write_json(out_dir / SYMBOLS_TABLE, list(SYMBOLS))
        write_json(out_dir / SPEAKERS, {name: index for index, name in enumerate(report["speakers"])})
    manifests = [f"{name}.jsonl" for name in SPLITS]
    write_lock(out_dir, config, dataset, digest, [*manifests, *(TABLES if acoustic else ()), *REPORTS])
    return report


def _statistics(shards_dir: Path, records: Sequence[Mapping[str, Any]]) -> Statistics:
    """Computes statistics of phone pitch and energy, over the phones that have frames."""
    by_shard: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        by_shard.setdefault(record["shard"], []).append(record)
    values: dict[str, dict[str, list[np.ndarray]]] = {}
    for shard, rows in sorted(by_shard.items()):
        utt_ids = [row["utt_id"] for row in rows]
        arrays = read_features(shard_path(shards_dir, shard), utt_ids, ("durations", "phone_pitch", "phone_energy"))
        for row in rows:
            has_frames = arrays[feature_key(row["utt_id"], "durations")] > 0
            parts = values.setdefault(row["speaker"], {"pitch": [], "energy": []})
            for name in parts:
                parts[name].append(arrays[feature_key(row["utt_id"], f"phone_{name}")][has_frames])
    return corpus_statistics(
        {speaker: {name: np.concatenate(arrays) for name, arrays in parts.items()} for speaker, parts in values.items()}
    )
