"""Weights and checkpoint folders on disk."""

import os
import pickle

import pytest
import torch

from utils.checkpoint import (
    list_checkpoints,
    load_strict,
    prune_checkpoints,
    read_weights,
    save_weights,
    strip_module_prefix,
)
from utils.errors import UserError


def test_weights_come_back(tmp_path):
    state = {"a.weight": torch.randn(3, 4).t(), "a.bias": torch.arange(3)}
    save_weights(tmp_path / "best/model.safetensors", state, {"step": 3})
    back = read_weights(tmp_path / "best/model.safetensors")
    assert back.keys() == state.keys() and all(torch.equal(back[k], state[k]) for k in state)
    assert os.listdir(tmp_path / "best") == ["model.safetensors"]


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil-was-run",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_file_that_could_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Evil()}, "evil.bin")
    with pytest.raises(UserError, match="evil.bin: holds more than tensors"):
        read_weights(tmp_path / "evil.bin")
    (tmp_path / "plain.bin").write_bytes(pickle.dumps({"a": Evil()}))
    with pytest.raises(UserError, match="plain.bin"):
        read_weights(tmp_path / "plain.bin")
    assert not (tmp_path / "evil-was-run").exists()


@pytest.mark.parametrize("name", ["x.safetensors", "x.bin"])
def test_a_damaged_or_missing_file_is_named(tmp_path, name):
    with pytest.raises(UserError, match=f"{name}: no such file"):
        read_weights(tmp_path / name)
    (tmp_path / name).write_bytes(b"truncated")
    with pytest.raises(UserError, match=name):
        read_weights(tmp_path / name)


def test_every_difference_is_listed():
    state = {"weight": torch.zeros(2, 3), "extra": torch.zeros(1)}
    with pytest.raises(UserError) as caught:
        load_strict(torch.nn.Linear(4, 2), state, "file.bin")
    for part in ("file.bin", "missing bias", "unexpected extra", "weight has shape [2, 3], expected [2, 4]"):
        assert part in str(caught.value)


def test_the_prefix_of_several_gpus_goes_only_where_every_key_has_it():
    assert list(strip_module_prefix({"module.a": torch.zeros(1)})) == ["a"]
    assert list(strip_module_prefix({"module.a": torch.zeros(1), "b": torch.zeros(1)})) == ["module.a", "b"]


def test_the_newest_checkpoints_are_kept_and_interrupted_saves_removed(tmp_path):
    for name in ("step-0000900", "step-0001000", "step-12000000", ".saving-5", "notes"):
        (tmp_path / name).mkdir()
    assert [step for step, _ in list_checkpoints(tmp_path)] == [900, 1000, 12_000_000]
    prune_checkpoints(tmp_path, 2)
    assert sorted(os.listdir(tmp_path)) == ["notes", "step-0001000", "step-12000000"]
