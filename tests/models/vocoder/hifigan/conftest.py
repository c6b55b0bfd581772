"""Clips and a small configuration of HiFi-GAN to train on, made without stage 1."""

import json
from pathlib import Path

import numpy as np
import pytest
from accelerate.state import AcceleratorState, GradientState
from safetensors.numpy import save_file

from bins.train import train
from config.load import load_config
from utils.checkpoint import list_checkpoints, read_weights
from utils.data_folder import FEATURES_VERSION

RATE, HOP = 8000, 64


PREPROCESS = {
    "sample_rate": RATE,
    "n_fft": 256,
    "win_size": 256,
    "hop_size": HOP,
    "n_mel": 16,
    "fmax": 4000.0,
    "f0_min": 100.0,
    "f0_max": 400.0,
}
SMALL = {
    "model_type": "HiFiGAN",
    "dataset": ["Tones"],
    "dataset_path": {"Tones": "unused"},
    "model": {
        "resblock": "2",
        "upsample_rates": [8, 8],
        "upsample_kernel_sizes": [16, 16],
        "upsample_initial_channel": 8,
        "resblock_kernel_sizes": [3],
        "resblock_dilation_sizes": [[1, 2]],
        "discriminator": {
            "periods": [2, 3],
            "period_channels": [4, 4, 4, 4, 4],
            "num_scales": 2,
            "scale_channels": [16, 16, 16, 16, 16, 16, 16],
        },
    },
    "train": {
        "batch_size": 3,
        "segment_size": 1024,
        "max_steps": 12,
        "log_every": 2,
        "valid_every": 6,
        "save_every": 3,
        "num_valid_samples": 0,
        "num_valid_clips": 2,
    },
}


def make_clips(folder: Path, train: int = 11, valid: int = 3) -> Path:
    """Audio as stage 1 makes it: tones of 100 to 300 Hz; the first is shorter than a segment."""
    rng = np.random.default_rng(0)
    (folder / "shards").mkdir(parents=True)
    tensors = {}
    for split, count in (("train", train), ("valid", valid)):
        lines = []
        for i in range(count):
            utt_id, num_samples = f"{split}-{i:02}", HOP * int(rng.integers(40, 60) if i else 9)
            phase = 2 * np.pi * np.cumsum(np.linspace(*rng.uniform(100, 300, 2), num_samples)) / RATE
            tensors[f"{utt_id}.wav"] = (8000 * (np.sin(phase) + 0.5 * np.sin(2 * phase))).astype(np.int16)
            row = {"utt_id": utt_id, "speaker": "one", "num_samples": num_samples, "shard": "shard-00000"}
            lines.append(json.dumps(row))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    save_file(tensors, folder / "shards/shard-00000.safetensors")
    lock = {"kind": "clips", "preprocess": PREPROCESS, "features_version": FEATURES_VERSION}
    (folder / "preprocess.lock.json").write_text(json.dumps(lock))
    return folder


@pytest.fixture
def clips(tmp_path):
    return make_clips(tmp_path / "data/Tones")


@pytest.fixture
def small_config(tmp_path, clips):
    path = tmp_path / "exp_config.json"
    preprocess = {**PREPROCESS, "processed_dir": str(tmp_path / "data")}
    path.write_text(json.dumps({**SMALL, "log_dir": str(tmp_path / "ckpts"), "preprocess": preprocess}))
    return path


def run(config_path, name, *overrides, resume=False, resume_from=None, start_from=None):
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    config = load_config(config_path, overrides)
    train(config, name, resume, resume_from, start_from)
    return Path(config.log_dir) / name


def newest(exp_dir):
    return list_checkpoints(exp_dir / "checkpoint")[-1][1]


def weights(exp_dir):
    """Generator, discriminators and average of the newest checkpoint."""
    names = ("model", "model_1", "ema")
    return {
        f"{name}: {key}": value
        for name in names
        for key, value in read_weights(newest(exp_dir) / f"{name}.safetensors").items()
    }
