"""Shards: safetensors files with the features of some utterances and a JSON header.

Keys are `<utt_id>.<feature>`; `FEATURES` lists the features. The header, a JSON object, is the only metadata entry:
safetensors keeps several entries in no fixed order, and equal shards must have equal bytes.
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

# An acoustic model's shards: mel float32 [T, n_mel]; durations int32 [S], frames, whose sum is T; phone_pitch float32
# [S], Hz; phone_energy float32 [S].
FEATURES = ("mel", "durations", "phone_pitch", "phone_energy")
# A vocoder's shards: wav int16 [num_samples]; for the source-filter vocoder pitch float32 [num_samples / hop_size], Hz,
# 0 = unvoiced; for fine-tuning mel float16 or float32 [T, n_mel].

_HEADER = "header"


class ShardError(Exception):
    """A shard that is missing, damaged, or not written by this toolkit."""


def shard_name(index: int) -> str:
    """Returns the name of a shard: its file name without the suffix."""
    return f"shard-{index:05d}"


def shard_path(folder: Path, name: str) -> Path:
    """Returns the path of a shard in the folder of shards."""
    return folder / f"{name}.safetensors"


def feature_key(utt_id: str, feature: str) -> str:
    """Returns the key of a feature of an utterance."""
    return f"{utt_id}.{feature}"


def write_shard(path: Path, tensors: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> None:
    """Writes a shard atomically; equal contents give equal bytes if the header's keys are in the same order.

    Args:
        path: the file.
        tensors: `feature_key` -> array, C-contiguous.
        header: the JSON object of the metadata.

    Raises:
        OSError: the file cannot be written.
    """
    text = json.dumps(header, ensure_ascii=False)
    write_bytes(path, save(dict(tensors), metadata={_HEADER: text}))


def read_header(path: Path) -> dict[str, Any]:
    """Reads the header of a shard, without any array; a truncated file is detected.

    Raises:
        ShardError: the file is missing, damaged or not a shard.
    """
    try:
        with safe_open(path, framework="np") as shard:
            return json.loads(shard.metadata()[_HEADER])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ShardError(f"{path}: {error}") from error


def read_features(path: Path, utt_ids: Iterable[str], features: Iterable[str] = FEATURES) -> dict[str, np.ndarray]:
    """Reads features of utterances from a shard.

    Args:
        path: the file.
        utt_ids: ids of utterances in this shard.
        features: some of `FEATURES`.

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
    """Reads the shards of data folders for training; each is memory-mapped and opened at its first use."""

    def __init__(self, *data_dirs: Path) -> None:
        """Stores the paths; no file is opened yet.

        Args:
            data_dirs: the data folders; the shards are in their folders `shards`. If there are several, a shard's name
                is `DATA_FOLDER/SHARD`, as in the rows of `utils.data_folder.read_split`.
        """
        self._folders = {data_dir.name if len(data_dirs) > 1 else "": data_dir / SHARDS for data_dir in data_dirs}
        self._open: dict[str, Any] = {}

    def read(self, shard: str, utt_id: str, feature: str, start: int = 0, stop: int | None = None) -> Tensor:
        """Reads a feature of an utterance, or only a part of it.

        Args:
            shard: name of the shard that holds the utterance.
            utt_id: id of the utterance.
            feature: name of a feature in the shard.
            start: first index of the part, along the first dimension.
            stop: index after the last one; None: to the end.

        Raises:
            UserError: the shard is missing or damaged, or the feature ends before `stop`.
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
        return feature_key(utt_id, feature) in self._shard(shard).keys()  # noqa: SIM118 # it is not a dict

    def _shard(self, name: str) -> Any:
        if name not in self._open:
            path = self._path(name)
            if not path.is_file():
                raise UserError(f"{path} is missing: run stage 1 again")
            try:
                self._open[name] = safe_open(path, framework="pt")
            except SafetensorError as error:
                raise UserError(self._damaged(name, str(error))) from None
        return self._open[name]

    def _damaged(self, shard: str, detail: str) -> str:
        return f"{self._path(shard)} is damaged ({detail}): run stage 1 again"

    def _path(self, shard: str) -> Path:
        data_dir, _, name = shard.rpartition("/")
        return shard_path(self._folders[data_dir], name)

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the open shards: a worker process of a data loader opens them itself."""
        return {**self.__dict__, "_open": {}}
