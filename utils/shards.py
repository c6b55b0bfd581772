"""Shards: the features of some utterances in one safetensors file, with what was found on the way.

Keys are `<utt_id>.<feature>`; `FEATURES` lists the features. One metadata entry holds a JSON object, the header; a
single entry, because safetensors keeps several in no fixed order, and equal shards must have equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from utils.atomic import write_bytes
from utils.data_folder import SHARDS
from utils.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

# An acoustic model's shards: mel float32 [T, n_mel]; durations int32 [S], frames, with sum T; phone_pitch float32 [S],
# Hz; phone_energy float32 [S].
FEATURES = ("mel", "durations", "phone_pitch", "phone_energy")
# A vocoder's shards: wav int16 [num_samples]; for the source-filter vocoder pitch float32 [num_samples / hop_size], Hz,
# 0 = unvoiced; for fine-tuning mel float16 or float32 [T, n_mel].

_HEADER = "header"


class ShardError(Exception):
    """A shard that is missing, damaged, or not one of ours."""


def shard_name(index: int) -> str:
    """The name of a shard, which is also its file's without the suffix."""
    return f"shard-{index:05d}"


def shard_path(folder: Path, name: str) -> Path:
    """The path of a shard in the folder of shards."""
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
        raise ShardError(f"{path}: {error}; run stage 1 again to rebuild it") from error


class ShardReader:
    """The shards of one folder of features, for training: memory-mapped, opened when something of them is asked for."""

    def __init__(self, data_dir: Path) -> None:
        """Opens no file yet.

        Args:
            data_dir: what stage 1 wrote; the shards are in its folder `shards`.
        """
        self._folder = data_dir / SHARDS
        self._open: dict[str, Any] = {}

    def read(self, shard: str, utt_id: str, feature: str, start: int = 0, stop: int | None = None) -> Tensor:
        """A feature of an utterance, or a part of it; nothing else is read.

        Args:
            shard: name of the shard that holds the utterance.
            utt_id: the utterance.
            feature: one that the shard has.
            start, stop: which part, along the first dimension; default: all.

        Raises:
            UserError: the shard is missing or damaged, or holds less than that.
        """
        try:
            part = self._shard(shard).get_slice(feature_key(utt_id, feature))
            length = part.get_shape()[0]
            if stop is not None and not 0 <= start <= stop <= length:
                raise UserError(self._damaged(shard, f"{utt_id}.{feature} ends at {length}, before {stop}"))
            return part[start:stop]
        except SafetensorError as error:
            raise UserError(self._damaged(shard, str(error))) from None

    def has(self, shard: str, utt_id: str, feature: str) -> bool:
        """Whether a shard has a feature of an utterance.

        Raises:
            UserError: the shard is missing or damaged.
        """
        return feature_key(utt_id, feature) in self._shard(shard).keys()  # noqa: SIM118 # it is no dict

    def _shard(self, name: str) -> Any:
        if name not in self._open:
            path = shard_path(self._folder, name)
            if not path.is_file():
                raise UserError(f"{path} is missing: run stage 1 again")
            try:
                self._open[name] = safe_open(path, framework="pt")
            except SafetensorError as error:
                raise UserError(self._damaged(name, str(error))) from None
        return self._open[name]

    def _damaged(self, shard: str, found: str) -> str:
        return f"{shard_path(self._folder, shard)} is damaged ({found}): run stage 1 again"

    def __getstate__(self) -> dict[str, Any]:
        """A loader's worker process opens the shards itself."""
        return {**self.__dict__, "_open": {}}
