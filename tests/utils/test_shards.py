"""Shards: equal contents are equal bytes, and damage is noticed."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from utils.errors import UserError
from utils.shards import (
    ShardError,
    ShardReader,
    feature_key,
    read_features,
    read_header,
    shard_name,
    shard_path,
    write_shard,
)

TENSORS = {
    feature_key("b", "mel"): np.arange(6, dtype=np.float32).reshape(3, 2),
    feature_key("a.1", "durations"): np.array([1, 2], np.int32),
}
HEADER = {"fingerprint": "f", "records": [{"text": "naïve"}], "skipped": []}


def test_name_and_place() -> None:
    assert shard_path(Path("d"), shard_name(7)) == Path("d/shard-00007.safetensors")


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    write_shard(tmp_path / "s", TENSORS, HEADER)
    assert list(read_header(tmp_path / "s").items()) == list(HEADER.items())  # the order too
    found = read_features(tmp_path / "s", ["b"], ["mel"])
    assert list(found) == ["b.mel"] and np.array_equal(found["b.mel"], TENSORS["b.mel"])


def test_equal_contents_are_equal_bytes(tmp_path: Path) -> None:
    write_shard(tmp_path / "one", TENSORS, HEADER)
    write_shard(tmp_path / "two", dict(reversed(TENSORS.items())), HEADER)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_shard_may_be_empty(tmp_path: Path) -> None:
    write_shard(tmp_path / "s", {}, HEADER)
    assert read_header(tmp_path / "s") == HEADER


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_shard_is_noticed(tmp_path: Path, keep: int) -> None:
    write_shard(tmp_path / "s", TENSORS, HEADER)
    (tmp_path / "s").write_bytes((tmp_path / "s").read_bytes()[:keep])
    with pytest.raises(ShardError):
        read_header(tmp_path / "s")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="absent"):
        read_header(tmp_path / "absent")
    write_shard(tmp_path / "s", TENSORS, HEADER)
    with pytest.raises(ShardError, match="b.pitch"):
        read_features(tmp_path / "s", ["b"], ["pitch"])


def test_a_reader_reads_parts(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    write_shard(shard_path(tmp_path / "shards", "one"), TENSORS, HEADER)
    reader = ShardReader(tmp_path)
    mel = TENSORS["b.mel"]
    assert np.array_equal(reader.read("one", "b", "mel").numpy(), mel)
    assert np.array_equal(reader.read("one", "b", "mel", 1, 3).numpy(), mel[1:3])
    assert reader.read("one", "b", "mel", 2, 2).shape == (0, 2)
    assert reader.has("one", "a.1", "durations") and not reader.has("one", "b", "durations")
    again = pickle.loads(pickle.dumps(reader))  # as it goes to a loader's worker
    assert np.array_equal(again.read("one", "a.1", "durations").numpy(), TENSORS["a.1.durations"])


def test_a_reader_says_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    path = shard_path(tmp_path / "shards", "one")
    path.parent.mkdir()
    with pytest.raises(UserError, match=r"one.safetensors is missing: run stage 1 again"):
        ShardReader(tmp_path).read("one", "b", "mel")
    write_shard(path, TENSORS, HEADER)
    with pytest.raises(UserError, match=r"one.safetensors is damaged \(.*b.pitch.*\): run stage 1 again"):
        ShardReader(tmp_path).read("one", "b", "pitch")
    with pytest.raises(UserError, match=r"one.safetensors is damaged \(b.mel ends at 3, before 4\): run stage 1"):
        ShardReader(tmp_path).read("one", "b", "mel", 2, 4)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"one.safetensors is damaged \(.*\): run stage 1 again"):
        ShardReader(tmp_path).has("one", "b", "mel")
