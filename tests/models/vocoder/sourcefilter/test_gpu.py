"""What only a GPU shows of the source-filter vocoder; skipped without one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bins.benchmarking.corpus import write_features
from bins.benchmarking.untrained import untrained_vocoder
from config.load import load_config
from config.registry import find_model, resolve
from config.schema import ExpConfig

pytestmark = pytest.mark.gpu
SMALL = {
    "model_type": "SourceFilter",
    "dataset": ["random"],
    "model": {"channels": 32, "hidden_channels": 64, "num_blocks": 2, "pitch_channels": 16},
    "train": {
        "batch_size": 4,
        "max_steps": 24,
        "adversary_start": 12,
        "mixed_precision": "no",
        "log_every": 1,
        "valid_every": 24,
        "save_every": 24,
        "num_valid_samples": 0,
    },
}


def small_config(folder: Path, *overrides: str) -> ExpConfig:
    path = folder / "exp_config.json"
    path.write_text(json.dumps(SMALL))
    return load_config(path, [f"preprocess.processed_dir={folder}", *overrides])


def losses(folder: Path, name: str, *overrides: str) -> list[float]:
    """The total losses of a training by step."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    config = small_config(folder, *overrides)
    resolve(find_model(config.model_type).trainer)(config, folder / name).fit()
    events = EventAccumulator(str(folder / name / "log")).Reload()
    return [event.value for event in events.Scalars("train/total")]


def test_graphs_train_as_written_steps_before_and_with_the_discriminators(tmp_path: Path) -> None:
    write_features(small_config(tmp_path), np.full(9, 2.0), tmp_path / "random")
    written = losses(tmp_path, "written", "train.compile=false")
    graphed = losses(tmp_path, "graphed", 'train.compile="graphs"')
    assert len(written) == 24 and written[12] != pytest.approx(written[11], rel=0.02)
    assert graphed == pytest.approx(written, rel=0.02)


def test_training_in_bf16_stays_finite(tmp_path: Path) -> None:
    write_features(small_config(tmp_path), np.full(9, 2.0), tmp_path / "random")
    totals = losses(tmp_path, "bf16", "train.mixed_precision=bf16")
    assert len(totals) == 24 and np.isfinite(totals).all()


def test_a_gpu_speaks_what_a_cpu_speaks(tmp_path: Path) -> None:
    torch.manual_seed(0)
    vocoder = untrained_vocoder(small_config(tmp_path), torch.device("cpu"))
    mel, lengths = torch.randn(2, 60, 80) - 3, torch.tensor([60, 41])
    expected = vocoder(mel, lengths)
    vocoder.generator.to("cuda")
    # TF32 moves the pitch by a thousandth, which is nothing to hear, but shifts the pulses against the CPU's.
    with torch.backends.cudnn.flags(allow_tf32=False):
        waves = vocoder(mel.cuda(), lengths.cuda())
    for wave, reference in zip(waves, expected, strict=True):
        error = (wave.cpu() - reference).square().mean().sqrt()
        assert error < 0.05 * reference.square().mean().sqrt()
