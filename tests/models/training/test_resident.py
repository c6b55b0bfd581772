"""Features on the device give the same batches, and the same weights, as those that a loader reads."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from torch.utils.data import DataLoader

from bins.train import train
from config.load import load_config
from models.training.batching import LengthBucketSampler, collate
from models.training.resident import ResidentLoader, should_be_resident
from models.tts.fastspeech2.dataset import FastSpeech2Dataset
from utils.checkpoint import list_checkpoints, read_weights
from utils.errors import UserError

CPU = torch.device("cpu")
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def final_weights(small_config: Path, name: str, *overrides: str, resume: bool = False) -> dict[str, torch.Tensor]:
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    config = load_config(small_config, overrides)
    train(config, name, resume, None)
    return read_weights(list_checkpoints(Path(config.log_dir) / name / "checkpoint")[-1][1] / "model.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("device", DEVICES)
def test_batches_are_the_loaders_bit_for_bit(features: Path, device: str) -> None:
    dataset = FastSpeech2Dataset([features], "train")
    sampler = LengthBucketSampler(dataset.lengths, 3, 0)
    expected = list(DataLoader(dataset, batch_sampler=sampler, collate_fn=collate))
    found = list(ResidentLoader(dataset.on_device(torch.device(device)), sampler))
    assert len(found) == len(expected) > 2
    for a, b in zip(expected, found, strict=True):
        for name in a._fields:
            own, gathered = getattr(a, name), getattr(b, name)
            assert gathered.dtype == own.dtype and torch.equal(gathered.cpu(), own), name
            assert gathered.device.type == (device if own.dim() > 1 else "cpu"), name


def test_the_memory_is_known_beforehand(features: Path) -> None:
    dataset = FastSpeech2Dataset([features], "train")
    tables = dataset.on_device(CPU).tables.values()
    held = sum(table._values.numel() * table._values.element_size() for table in tables)
    padding = sum(table._values[0].numel() * table._values.element_size() for table in tables)
    assert dataset.resident_bytes == held - padding


def test_training_on_resident_data_gives_the_same_weights(small_config: Path, capsys: pytest.CaptureFixture) -> None:
    loaded = final_weights(small_config, "loaded")
    assert "in its memory" not in capsys.readouterr().out  # "auto" on a CPU
    resident = final_weights(small_config, "resident", "train.data_on_device=true")
    assert "11 utterances in its memory" in capsys.readouterr().out
    assert same(loaded, resident)


def test_batches_by_frames_resume_bit_for_bit(small_config: Path, capsys: pytest.CaptureFixture) -> None:
    by_frames = ("train.max_batch_frames=90", "train.max_steps=9", "train.save_every=4")
    whole = final_weights(small_config, "whole", *by_frames)
    assert "batches of 90 mel frames at most" in capsys.readouterr().out
    final_weights(small_config, "stopped", *by_frames, "train.max_steps=5")
    capsys.readouterr()
    assert same(final_weights(small_config, "stopped", *by_frames, resume=True), whole)
    assert "begins again" not in capsys.readouterr().out
    final_weights(small_config, "stopped", "train.max_steps=12", resume=True)
    assert "max_batch_frames 90 -> None" in capsys.readouterr().out


def test_an_utterance_that_no_batch_can_hold_is_told(small_config: Path) -> None:
    with pytest.raises(UserError, match=r"max_batch_frames = 10 is less than the longest training utterance has, \d+"):
        final_weights(small_config, "first", "train.max_batch_frames=10")


def test_auto_takes_what_leaves_half_of_a_gpus_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 5000))
    gpu = torch.device("cuda")
    assert should_be_resident("auto", SimpleNamespace(resident_bytes=499), gpu)
    assert not should_be_resident("auto", SimpleNamespace(resident_bytes=500), gpu)
    assert should_be_resident(True, SimpleNamespace(resident_bytes=500), gpu)
    assert not should_be_resident(False, SimpleNamespace(resident_bytes=1), gpu)
    assert not should_be_resident("auto", SimpleNamespace(resident_bytes=1), CPU)
    assert should_be_resident(True, SimpleNamespace(resident_bytes=10**15), CPU)
    with pytest.raises(UserError, match=r"train\.data_on_device is true, but .* leave it at \"auto\""):
        should_be_resident(True, SimpleNamespace(resident_bytes=1001), gpu)


@pytest.mark.gpu
def test_a_gpu_holds_the_data_by_itself(small_config: Path, capsys: pytest.CaptureFixture) -> None:
    resident = final_weights(small_config, "auto", "train.max_steps=3")
    assert re.search(r"on cuda, .* utterances in its memory", capsys.readouterr().out)
    loaded = final_weights(small_config, "loaded", "train.max_steps=3", "train.data_on_device=false")
    for name in loaded:
        np.testing.assert_allclose(resident[name].float(), loaded[name].float(), atol=1e-3)
