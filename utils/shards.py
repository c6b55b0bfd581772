"""Shards: the features of some utterances in one safetensors file, with what was found on the way.

Keys are `<utt_id>.<feature>`; `FEATURES` lists the features. One metadata entry holds a JSON object, the header; a
single entry, because safetensors keeps several in no fixed order and equal shards shall have equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from utils.atomic import write_bytes

# mel float32 [T, n_mel]; pitch float32 [T], Hz, 0 = unvoiced; energy float32 [T]; durations int32 [S], frames;
# phone_pitch float32 [S], Hz; phone_energy float32 [S]. The durations sum to T.
FEATURES = ("mel", "pitch", "energy", "durations", "phone_pitch", "phone_energy")

_HEADER = "header"


class ShardError(Exception):
    """A shard that is missing, damaged, or not one of ours."""


def shard_name(index: int) -> str:
    """The name of a shard, which is also its file's without the suffix."""
    return f"shard-{index:05d}"


def shard_path(folder: Path, name: str) -> Path:
    """Where a shard lies inside the folder of shards."""
    return folder / f"{name}.safetensors"


def feature_key(utt_id: str, feature: str) -> str:
    """The key of one feature of one utterance."""
    return f"{utt_id}.{feature}"


def write_shard(path: Path, tensors: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> None:
    """Writes a shard atomically; equal contents, with the header's keys in equal order, give equal bytes.

    Args:
        path: the file.
        tensors: `feature_key` -> array, C-contiguous.
        header: a JSON object.

    Raises:
        OSError: the file cannot be written.
    """
    text = json.dumps(header, ensure_ascii=False)
    write_bytes(path, save(dict(tensors), metadata={_HEADER: text}))


def read_header(path: Path) -> dict[str, Any]:
    """The header of a shard; reads no array, but notices a truncated file.

    Raises:
        ShardError: the file is missing, damaged or not a shard.
    """
    try:
        with safe_open(path, framework="np") as shard:
            return json.loads(shard.metadata()[_HEADER])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ShardError(f"{path}: {error}") from error


def read_features(path: Path, utt_ids: Iterable[str], features: Iterable[str] = FEATURES) -> dict[str, np.ndarray]:
    """Some features of some utterances of a shard.

    Args:
        path: the file.
        utt_ids: utterances of this shard.
        features: names out of `FEATURES`.

    Returns:
        `feature_key` -> array.

    Raises:
        ShardError: the file is missing or damaged, or lacks a key.
    """
    features = tuple(features)
    try:
        with safe_open(path, framework="np") as shard:
            keys = [feature_key(utt_id, feature) for utt_id in utt_ids for feature in features]
            return {key: shard.get_tensor(key) for key in keys}
    except (OSError, SafetensorError) as error:
        raise ShardError(f"{path}: {error}; run stage 1 again to make it anew") from error
