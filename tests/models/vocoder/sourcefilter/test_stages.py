"""The recipe's three stages with their programs, on a corpus of tones."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from bins.train import train
from bins.vocode import main as vocode
from config.load import REPO_ROOT, load_config
from models.training.batching import collate
from models.vocoder.sourcefilter.dataset import SourceFilterDataset
from utils.jsonl import read_jsonl


@pytest.fixture
def config_path(tmp_path, tiny_corpus):
    values = {
        "base_config": "config/sourcefilter.json",
        "dataset": ["LJSpeech"],
        "dataset_path": {"LJSpeech": str(tiny_corpus(12))},
        "log_dir": str(tmp_path / "ckpts"),
        "preprocess": {"processed_dir": str(tmp_path / "data"), "valid_fraction": 0.2, "test_fraction": 0.2},
        "model": {"channels": 16, "hidden_channels": 16, "num_blocks": 1, "pitch_channels": 16},
        "train": {"batch_size": 2, "max_steps": 4, "adversary_start": 2, "num_valid_samples": 0, "num_valid_clips": 1},
    }
    path = tmp_path / "exp_config.json"
    path.write_text(json.dumps(values))
    return path


def test_from_recordings_to_a_vocoder_that_speaks(config_path, tmp_path, capsys):
    program = [sys.executable, REPO_ROOT / "bins/preprocess.py", "--config", config_path, "--num_workers", "1"]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "(dio pitch)" in done.stdout
    config = load_config(config_path)
    dataset = SourceFilterDataset([tmp_path / "data/LJSpeech"], "train", config.preprocess.mel, 8192)
    wav, pitch = dataset.clip(0)[0], dataset.pitch(0)
    assert len(pitch) == len(wav) // 256 and (pitch > 0).float().mean() > 0.3
    assert pitch[pitch > 0].min() >= 71 and pitch.max() <= 800

    train(config, "light", False, None)
    flags = ["--config", str(config_path), "--infer_expt_dir", str(tmp_path / "ckpts/light"), "--infer_mode", "batch"]
    flags += ["--infer_dataset", "LJSpeech", "--infer_testing_set", "test"]
    vocode(flags)
    rows = read_jsonl(tmp_path / "data/LJSpeech/test.jsonl")
    assert rows
    for row in rows:
        made, rate = soundfile.read(tmp_path / f"ckpts/light/result/{row['utt_id']}.wav")
        assert rate == 22050 and len(made) == row["num_samples"] and np.abs(made).max() > 1e-3
    assert "mel L1 of recordings and their resynthesis" in capsys.readouterr().out


def test_another_pitch_range_makes_the_clips_stale(config_path):
    program = [sys.executable, REPO_ROOT / "bins/preprocess.py", "--config", config_path, "--num_workers", "1"]

    def run(*flags):
        return subprocess.run([*program, *flags], capture_output=True, text=True, check=True).stdout

    run()
    assert "nothing to do" in run()
    assert "0 are up to date" in run("--set=preprocess.f0_max=600")
    with pytest.raises(subprocess.CalledProcessError):
        run("--set=preprocess.pitch_extractor=none")


def test_batches_in_the_memory_of_a_device_are_the_loaders(clips):
    from config.schema import MelSettings
    from models.training.crops import Crop

    dataset = SourceFilterDataset([clips], "train", MelSettings(8000, 256, 256, 64, 16, 0.0, 4000.0), 2048)
    crops = [Crop(0, 0.3), Crop(3, 0.0), Crop(5, 0.99)]
    read = collate([dataset[crop] for crop in crops])
    gathered = dataset.on_device(torch.device("cpu")).batch(crops)
    for name in read._fields:
        assert torch.equal(getattr(read, name), getattr(gathered, name)), name
    assert read.pitch.shape == (3, 32)
    assert (read.pitch[0, 20:] == 0).all()  # the first clip is shorter than a segment
    assert dataset.resident_bytes == sum(dataset.lengths) * 2 + sum(dataset.lengths) // 64 * 4
