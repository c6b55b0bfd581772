"""Clips with their pitch, and a small configuration to train on, made without stage 1."""

import json
from pathlib import Path

import numpy as np
import pytest
from accelerate.state import AcceleratorState, GradientState
from safetensors.numpy import save_file

from bins.train import train
from config.load import load_config
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
    "model_type": "SourceFilter",
    "dataset": ["Tones"],
    "model": {
        "channels": 16,
        "hidden_channels": 24,
        "num_blocks": 2,
        "pitch_channels": 24,
        "discriminator": {
            "periods": [2, 3],
            "period_channels": [4, 4, 4, 4, 4],
            "n_ffts": [512, 256],
            "spectrogram_channels": 4,
        },
    },
    "train": {
        "batch_size": 3,
        "segment_size": 2048,
        "max_steps": 12,
        "warmup_steps": 4,
        "adversary_start": 4,
        "log_every": 2,
        "valid_every": 6,
        "save_every": 3,
        "num_valid_samples": 0,
        "num_valid_clips": 2,
    },
}


def make_tone(pitch: np.ndarray) -> np.ndarray:
    """int16 [len(pitch) * HOP]: a tone with four harmonics at pitch [T] Hz, faint noise where that is 0."""
    hertz = np.repeat(pitch, HOP)
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    tone = sum(np.sin(k * phase) / k for k in range(1, 5)) * (hertz > 0)
    noise = np.random.default_rng(len(pitch)).normal(0, 0.02, len(hertz))
    return np.round(8000 * (tone + noise)).astype(np.int16)


def make_clips(folder: Path, train: int = 11, valid: int = 3) -> Path:
    """Audio and pitch as stage 1 makes them; the first clip is shorter than a segment."""
    rng = np.random.default_rng(0)
    (folder / "shards").mkdir(parents=True)
    tensors = {}
    for split, count in (("train", train), ("valid", valid)):
        lines = []
        for i in range(count):
            utt_id, frames = f"{split}-{i:02}", int(rng.integers(50, 70) if i else 20)
            pitch = np.linspace(*rng.uniform(110, 300, 2), frames).astype(np.float32)
            pitch[frames // 2 : frames // 2 + 8] = 0
            tensors[f"{utt_id}.wav"], tensors[f"{utt_id}.pitch"] = make_tone(pitch), pitch
            row = {"utt_id": utt_id, "speaker": "one", "num_samples": frames * HOP, "shard": "shard-00000"}
            lines.append(json.dumps(row))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    save_file(tensors, folder / "shards/shard-00000.safetensors")
    lock = {
        "kind": "clips",
        "preprocess": {**PREPROCESS, "pitch_extractor": "dio"},
        "features_version": FEATURES_VERSION,
    }
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


@pytest.fixture
def trained(small_config):
    """A function that trains under a name with some keys overridden, and returns the experiment's folder."""

    def run(name, *overrides, resume=False, start_from=None):
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
        config = load_config(small_config, overrides)
        train(config, name, resume, None, start_from)
        return Path(config.log_dir) / name

    return run
