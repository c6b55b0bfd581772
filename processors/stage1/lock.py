"""Writes and checks preprocess.lock.json, which describes the inputs of finished features.

The lock is written last, so its absence means that the features are not finished.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from config.load import to_dict
from config.schema import AudioConfig, ExpConfig, PreprocessConfig
from processors.stage1.plan import ShardPlan, settings
from utils.data_folder import FEATURES_VERSION, LOCK, Kind, Lock, read_lock
from utils.errors import UserError
from utils.jsonl import write_json
from utils.utterance import Corpus


def kind_of(config: AudioConfig) -> Kind:
    """Returns the kind of features that stage 1 makes with a preprocess section."""
    return "acoustic" if isinstance(config, PreprocessConfig) else "clips"


def inputs_digest(
    plans: Sequence[ShardPlan], corpus: Corpus, config: AudioConfig, alignment: Mapping[str, Any] | None
) -> str:
    """Computes a hash of everything that the files beside the shards depend on."""
    parts = [[plan.name, plan.fingerprint] for plan in plans]
    several = len({utterance.speaker for utterance in corpus.utterances}) > 1  # then sentences determine the splits
    split_by = [[u.utt_id, u.text if several else "", u.split] for u in corpus.utterances]
    facts = [FEATURES_VERSION, settings(config), parts, split_by, corpus.skipped, corpus.mended, alignment]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def is_final(out_dir: Path, digest: str) -> bool:
    """Whether the lock exists, has the same inputs, and every file is unchanged."""
    lock = read_lock(out_dir)
    try:
        return lock is not None and lock["inputs"] == digest and lock["files"] == file_digests(out_dir, lock["files"])
    except (OSError, KeyError):
        return False


def write_lock(out_dir: Path, config: AudioConfig, dataset: str, inputs: str, files: Iterable[str]) -> None:
    """Writes the lock, which marks the features as finished.

    Args:
        out_dir: the data folder.
        config: the preprocess section.
        dataset: name of the corpus.
        inputs: from `inputs_digest`.
        files: names of the files beside the shards.

    Raises:
        OSError: a file cannot be read or written.
    """
    lock: Lock = {
        "kind": kind_of(config),
        "preprocess": settings(config),
        "dataset": dataset,
        "features_version": FEATURES_VERSION,
        "inputs": inputs,
        "files": file_digests(out_dir, files),
    }
    write_json(out_dir / LOCK, lock)


def file_digests(out_dir: Path, names: Iterable[str]) -> dict[str, str]:
    """Computes the SHA-256 of each file.

    Raises:
        OSError: a file cannot be read.
    """
    return {name: hashlib.sha256((out_dir / name).read_bytes()).hexdigest() for name in names}


def check_kind(out_dir: Path, config: AudioConfig) -> None:
    """Protects finished features of another kind from being overwritten.

    Args:
        out_dir: the data folder.
        config: the preprocess section.

    Raises:
        UserError: the data folder has such features.
    """
    lock = read_lock(out_dir)
    if lock is None or lock["kind"] == kind_of(config):
        return
    if kind_of(config) == "acoustic":
        raise UserError(
            f"{out_dir} holds the clips of a vocoder, which would be overwritten: set another "
            "preprocess.processed_dir for the acoustic model, such as data",
            2,
        )
    raise UserError(
        f"{out_dir} holds the features of an acoustic model, which would be overwritten: set another "
        "preprocess.processed_dir for the vocoder, such as data/vocoder",
        2,
    )


def check_features(config: ExpConfig) -> list[Path]:
    """Checks that the features of the configured corpora are finished and have the configured settings.

    Returns:
        The data folders.

    Raises:
        UserError: stage 1 has not finished, or ran with other settings; the message names each field.
    """
    if not config.dataset:
        raise UserError("dataset is empty: name the corpus to train on", exit_code=2)
    for data_dir in config.data_dirs:
        _check_folder(data_dir, config)
    return config.data_dirs


def _check_folder(data_dir: Path, config: ExpConfig) -> None:
    if not (data_dir / LOCK).is_file():
        raise UserError(
            f"{data_dir} holds no finished features: run the stage that makes them first (--stage 1; an acoustic "
            "model's mels: --stage finetune)"
        )
    lock = read_lock(data_dir)
    if lock is None:
        raise UserError(f"{data_dir}: these features were made by another version of the toolkit: run stage 1 again")
    wanted = to_dict(config.preprocess)
    if not lock["preprocess"].keys() <= wanted.keys():
        raise UserError(
            f"{data_dir} holds features for another kind of model: set preprocess.processed_dir to the folder for this "
            "recipe's features, and run its stage 1",
            exit_code=2,
        )
    differences = [
        f"preprocess.{key} is {wanted[key]!r} but the features were made with {value!r}"
        for key, value in lock["preprocess"].items()
        if wanted[key] != value
    ]
    if differences:
        raise UserError(
            f"{data_dir}: {'; '.join(differences)}. Run stage 1 again, or restore the old value.", exit_code=2
        )
