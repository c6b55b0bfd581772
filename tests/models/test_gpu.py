"""What only a GPU shows; skipped without one."""

import re

import pytest
import torch
from safetensors.torch import load_file

from bins.train import train
from config.load import load_config
from utils.checkpoint import list_checkpoints

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]


def run(small_config, name, *overrides, resume=False):
    from accelerate.state import AcceleratorState, GradientState

    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    config = load_config(small_config, overrides)
    train(config, name, resume, None)
    return list_checkpoints(small_config.parent / "ckpts" / name / "checkpoint")[-1][1]


def test_training_runs_in_bf16_with_pictures_and_sound(small_config, capsys):
    run(small_config, "gpu", "train.num_valid_samples=1", "train.max_steps=40", "train.valid_every=40")
    printed = capsys.readouterr().out
    assert "on cuda, precision bf16" in printed
    totals = [float(value) for value in re.findall(r"total ([\d.]+)", printed)]
    assert totals[-1] < totals[0]


def test_resumed_is_uninterrupted(small_config):
    whole = run(small_config, "whole")
    run(small_config, "stopped", "train.max_steps=6")
    resumed = run(small_config, "stopped", resume=True)
    a, b = load_file(whole / "model.safetensors"), load_file(resumed / "model.safetensors")
    # Without deterministic kernels a GPU adds in varying order: equal within rounding, not bit for bit.
    assert all(torch.allclose(a[name].float(), b[name].float(), atol=1e-3) for name in a)


def test_a_gpu_speaks_what_a_cpu_speaks(small_config, features):
    from models.tts.fastspeech2.dataset import FastSpeech2Dataset
    from models.tts.fastspeech2.model import FastSpeech2

    dataset = FastSpeech2Dataset(features, "valid")
    model = FastSpeech2(load_config(small_config).model, len(dataset.symbols), 16, 1, dataset.stats).eval()
    batch = dataset.collate([dataset[i] for i in range(len(dataset))])
    mels = []
    for device in ("cpu", "cuda"):
        output = model.to(device)(
            batch.phone_ids.to(device), batch.phone_lengths.to(device), durations=batch.durations.to(device)
        )
        mels.append(output.mel_postnet.detach().cpu())
    assert torch.allclose(*mels, atol=2e-3)  # TF32 convolutions
