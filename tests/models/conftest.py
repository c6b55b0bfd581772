"""Features and a small configuration to train on, made without stage 1."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from safetensors.numpy import save_file
from torch.utils._python_dispatch import TorchDispatchMode

from bins.train import train
from config.load import load_config
from utils.checkpoint import list_checkpoints
from utils.data_folder import FEATURES_VERSION

PHONES = ["HH", "AH0", "L", "OW1", ",", "W", "ER1", "D", "."]


@pytest.fixture(autouse=True)
def fresh_accelerator():
    """A function that lets the next trainer set up accelerate anew, as a new process would; also done after a test."""

    def reset():
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
        if "torch._dynamo" in sys.modules:  # it keeps at most 8 versions of a function
            torch._dynamo.reset()

    yield reset
    reset()


@pytest.fixture
def on_cpu(monkeypatch):
    """Training runs on the CPU, whatever there is: a GPU's TF32 is not exact, and its kernels vary."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")


class NothingWaits(TorchDispatchMode):
    """Refuses what would let a GPU's host wait: numbers and shapes that only the device knows."""

    WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "unique", "_unique2"}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.removeprefix("aten::")
        assert name not in self.WAITING, f"{func} waits for the device"
        chosen = args[1] if name in ("index", "index_put", "index_put_") else ()
        assert not any(x is not None and x.dtype == torch.bool for x in chosen), f"{func} with a mask waits"
        return func(*args, **(kwargs or {}))


@pytest.fixture
def nothing_waits():
    """A context in which an operation that a GPU's host would wait for is an error."""
    return NothingWaits


@pytest.fixture
def deterministic():
    """Kernels that add in a fixed order."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def features(tmp_path):
    """Makes `<tmp_path>/data/Tones`, whose mels depend on the phones; returns its folder."""
    return make_features(tmp_path / "data/Tones")


def make_features(folder: Path, train: int = 11, valid: int = 3, speakers: tuple[str, ...] = ("one",)) -> Path:
    rng = np.random.default_rng(0)
    (folder / "shards").mkdir(parents=True)
    symbols = ["_", *PHONES]
    tensors = {}
    for split, count in (("train", train), ("valid", valid)):
        lines = []
        for i in range(count):
            utt_id = f"{split}-{i:02}"
            phones = [PHONES[k] for k in rng.integers(0, len(PHONES), rng.integers(4, 12))]
            durations = np.where(np.isin(phones, [",", "."]), 0, rng.integers(1, 6, len(phones))).astype(np.int32)
            durations[0] = max(durations[0], 2)
            levels = np.array([symbols.index(p) for p in phones], dtype=np.float32)
            mel = np.repeat(levels, durations)[:, None] * np.linspace(-1, 1, 16, dtype=np.float32)
            frames = len(mel)
            tensors |= {
                f"{utt_id}.mel": mel,
                f"{utt_id}.pitch": np.full(frames, 120, np.float32),
                f"{utt_id}.energy": np.ones(frames, np.float32),
                f"{utt_id}.durations": durations,
                f"{utt_id}.phone_pitch": (100 + 5 * levels) * (durations > 0),
                f"{utt_id}.phone_energy": levels * (durations > 0),
            }
            row = {"utt_id": utt_id, "speaker": speakers[i % len(speakers)], "text": "hello", "phones": phones}
            lines.append(json.dumps({**row, "num_frames": frames, "shard": "shard-00000"}))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    save_file(tensors, folder / "shards/shard-00000.safetensors")
    (folder / "symbols.json").write_text(json.dumps(symbols))
    (folder / "speakers.json").write_text(json.dumps({name: i for i, name in enumerate(speakers)}))
    stats: dict = {
        "pitch": {"mean": 120.0, "std": 15.0, "min": -2.0, "max": 2.0},
        "energy": {"mean": 4.0, "std": 3.0, "min": -2.0, "max": 2.0},
    }
    if len(speakers) > 1:
        own = {"pitch": {"mean": 110.0, "std": 10.0}, "energy": {"mean": 3.0, "std": 2.0}}
        stats["speakers"] = {name: own for name in speakers[1:]}  # the first has the corpus's
    (folder / "stats.json").write_text(json.dumps(stats))
    (folder / "preprocess.lock.json").write_text(
        json.dumps({"preprocess": SMALL["preprocess"], "features_version": FEATURES_VERSION})
    )
    return folder


SMALL = {
    "preprocess": {"n_mel": 16, "hop_size": 256, "sample_rate": 22050},
    "model": {
        "transformer": {
            "encoder_layer": 1,
            "decoder_layer": 1,
            "encoder_hidden": 16,
            "decoder_hidden": 16,
            "conv_filter_size": 24,
            "conv_kernel_size": [3, 1],
        },
        "variance_predictor": {"filter_size": 16},
        "variance_embedding": {"n_bins": 8},
        "postnet": {"hidden": 16, "layers": 2},
    },
    "train": {
        "batch_size": 3,
        "max_epoch": None,
        "max_steps": 12,
        "log_every": 2,
        "valid_every": 6,
        "save_every": 3,
        "num_valid_samples": 0,  # pictures and sound take longer than the training
    },
}


@pytest.fixture
def small_config(tmp_path, features):
    """Writes a configuration of a model that trains in a second on `features`; returns its path."""
    path = tmp_path / "exp_config.json"
    values = {
        "model_type": "FastSpeech2",
        "dataset": ["Tones"],
        "dataset_path": {"Tones": "unused"},
        "log_dir": str(tmp_path / "ckpts"),
        **SMALL,
        "preprocess": {**SMALL["preprocess"], "processed_dir": str(tmp_path / "data")},
    }
    path.write_text(json.dumps(values))
    return path


@pytest.fixture
def trained(small_config, fresh_accelerator):
    """`trained(name, *overrides, resume=False, start_from=None)` trains on `small_config` -> newest checkpoint."""

    def run(name, *overrides, resume=False, start_from=None):
        fresh_accelerator()
        train(load_config(small_config, overrides), name, resume, None, start_from)
        return list_checkpoints(small_config.parent / "ckpts" / name / "checkpoint")[-1][1]

    return run
