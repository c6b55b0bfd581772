"""What only a GPU shows; skipped without one."""

import re

import pytest
import torch
from safetensors.torch import load_file

from config.load import load_config
from models.training.graphs import StepGraphs

pytestmark = pytest.mark.gpu
NO_DROPOUT = (
    "model.transformer.encoder_dropout=0",
    "model.transformer.decoder_dropout=0",
    "model.variance_predictor.dropout=0",
    "model.postnet.dropout=0",
)


def same(a, b):
    a, b = (load_file(folder / "model.safetensors") for folder in (a, b))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_training_runs_in_bf16_with_pictures_and_sound(trained, capsys):
    trained("gpu", "train.num_valid_samples=1", "train.max_steps=40", "train.valid_every=40")
    printed = capsys.readouterr().out
    assert "on cuda, precision bf16" in printed
    totals = [float(value) for value in re.findall(r"total ([\d.]+)", printed)]
    assert totals[-1] < totals[0]


@pytest.mark.parametrize("compiled", ["false", '"graphs"', "true"])
def test_resumed_is_uninterrupted_bit_for_bit(trained, deterministic, compiled):
    """The two runs record their graphs at other steps: a recorded step must be the written one."""
    setting = f"train.compile={compiled}"
    whole = trained("whole", setting)
    trained("stopped", setting, "train.max_steps=6")
    assert same(whole, trained("stopped", setting, resume=True))


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("compiled", ['"graphs"', '"kernels"', "true"])
def test_compiled_graphed_and_written_losses_agree(trained, capsys, monkeypatch, compiled, accumulation):
    """Within the rounding of bfloat16, 2^-9 a number, over 50 steps."""
    graphed = []
    original = StepGraphs.__call__
    monkeypatch.setattr(StepGraphs, "__call__", lambda self, *args: graphed.append(1) or original(self, *args))
    settings = (*NO_DROPOUT, "train.max_steps=50", f"train.gradient_accumulation_step={accumulation}")
    losses = []
    for name, choice in (("written", "false"), ("compiled", compiled)):
        trained(name, *settings, f"train.compile={choice}")
        printed = capsys.readouterr().out
        losses.append([float(value) for value in re.findall(r"step .* mel [\d.]+ .*total ([\d.]+)", printed)])
    assert len(graphed) == (0 if compiled == '"kernels"' else 50)
    assert len(losses[0]) == 25
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


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
