"""What only a GPU shows; skipped without one."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import models.graphs
import models.training.trainer
from config.load import load_config
from models.graphs import StepGraphs
from models.training.batching import collate
from utils.checkpoint import list_checkpoints
from utils.errors import UserError

pytestmark = pytest.mark.gpu
ROOT = Path(__file__).resolve().parents[3]
# Two processes on one card: NCCL refuses that, gloo does not. Both are the first process of their machine.
RANK_ON_THE_SAME_CARD = """
import runpy, sys, torch
torch.distributed.init_process_group("gloo")
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
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


@pytest.mark.parametrize("compiled", ["false", '"graphs"', '"kernels"', "true"])
def test_resumed_is_uninterrupted_bit_for_bit(trained, deterministic, compiled):
    """The two runs record their graphs at other steps: a recorded step must be the written one.

    Compiled kernels divide their sums by the shape that they were compiled at, the first one: there a resumed run is
    the same but for rounding.
    """
    setting = f"train.compile={compiled}"
    whole = trained("whole", setting)
    trained("stopped", setting, "train.max_steps=6")
    resumed = trained("stopped", setting, resume=True)
    if compiled in ("false", '"graphs"'):
        assert same(whole, resumed)
    else:
        expected, weights = (load_file(folder / "model.safetensors") for folder in (whole, resumed))
        for name, weight in expected.items():
            torch.testing.assert_close(weights[name], weight, rtol=1e-2, atol=2e-3, msg=f"{name}: {{}}".format)


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

    dataset = FastSpeech2Dataset([features], "valid")
    model = FastSpeech2(load_config(small_config).model, len(dataset.symbols), 16, 1, dataset.stats).eval()
    batch = collate([dataset[i] for i in range(len(dataset))])
    mels = []
    for device in ("cpu", "cuda"):
        output = model.to(device)(
            batch.phone_ids.to(device), batch.phone_lengths.to(device), durations=batch.durations.to(device)
        )
        mels.append(output.mel_postnet.detach().cpu())
    assert torch.allclose(*mels, atol=2e-3)  # TF32 convolutions


def test_two_processes_on_one_card_agree_with_one(small_config, trained):
    """In float32 with the batch divided between them; kernels that add in varying order leave small differences."""
    settings = (*NO_DROPOUT, "train.mixed_precision=no", "train.max_steps=6")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    arguments = [ROOT / "bins/train.py", "--config", small_config, "--exp_name", "two"]
    arguments += [f"--set={setting}" for setting in (*settings, "train.batch_size=4")]
    shared = {**os.environ, "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK_ON_THE_SAME_CARD, *arguments],
            env={**shared, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [rank.communicate(timeout=100) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], outputs
    assert "on 2 processes" in outputs[0][0]
    two = load_file(list_checkpoints(small_config.parent / "ckpts/two/checkpoint")[-1][1] / "model.safetensors")
    one = load_file(trained("one", *settings, "train.batch_size=8") / "model.safetensors")
    assert one.keys() == two.keys()
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=1e-2, atol=2e-4, msg=f"{name}: {{}}".format)


def test_a_gpu_without_memory_names_the_setting_to_lower(trained, monkeypatch):
    def fill_the_gpu(trainer):
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(1e-9)
        return []

    monkeypatch.setattr(models.training.trainer, "start_lines", fill_the_gpu)
    try:
        with pytest.raises(UserError, match=r"The GPU's memory is too small for step 1, .* Lower train\.batch_size"):
            trained("large")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_a_sentence_sounds_the_same_on_a_gpu(monkeypatch):
    """From phones to audio: FastSpeech2 in TF32, HiFi-GAN in half precision."""
    monkeypatch.setattr(models.graphs, "CALLS_BEFORE_RECORDING", 1)
    from bins.benchmarking.untrained import untrained_acoustic_model, untrained_vocoder
    from models.tts.fastspeech2.recorded import RecordedFastSpeech2
    from models.tts.pieces import Piece
    from models.tts.synthesizer import Script, Synthesizer

    acoustic, vocoder = (
        load_config(ROOT / f"egs/{name}/exp_config.json") for name in ("tts/FastSpeech2", "vocoder/hifigan")
    )
    waves = []
    for device in (torch.device("cpu"), torch.device("cuda")):
        torch.manual_seed(0)
        model = untrained_acoustic_model(acoustic.model, 80, device)
        adaptor = model.variance_adaptor
        for predictor in (adaptor.pitch_predictor, adaptor.energy_predictor):
            torch.nn.init.zeros_(predictor.linear.weight)  # no rounding error moves a phone to the next bin
        synthesizer = Synthesizer(
            RecordedFastSpeech2(model), acoustic.preprocess.mel, untrained_vocoder(vocoder, device), device
        )
        for _ in range(3):  # on a GPU: without graphs, recorded, replayed
            (speech,) = synthesizer.speak([Script("one", [Piece(list(range(1, 60)), 0.0)], None)])
            waves.append(torch.from_numpy(speech.wav))
    expected = waves[0]
    for wave in waves:
        assert wave.shape == expected.shape == (59 * 6 * 256,)
        assert (wave - expected).square().mean().sqrt() < 0.05 * expected.square().mean().sqrt() > 0


def test_recorded_mels_are_those_of_the_model(monkeypatch):
    """Utterances that share a recording differ in length, in content and in their controls; threads take turns."""
    monkeypatch.setattr(models.graphs, "CALLS_BEFORE_RECORDING", 1)
    from concurrent.futures import ThreadPoolExecutor

    from bins.benchmarking.untrained import untrained_acoustic_model
    from models.tts.fastspeech2.recorded import RecordedFastSpeech2

    torch.manual_seed(0)
    config = load_config(ROOT / "egs/tts/FastSpeech2/exp_config.json")
    model = untrained_acoustic_model(config.model, 80, torch.device("cuda"))
    recorded = RecordedFastSpeech2(model)

    @torch.inference_mode()
    def speak(net, num_phones, seed, control):
        ids = torch.randint(1, 60, (1, num_phones), generator=torch.Generator().manual_seed(seed)).cuda()
        lengths = torch.tensor([num_phones], device="cuda")
        controls = {"pitch_control": control, "energy_control": 1.0, "duration_control": control}
        return net(ids, lengths, speaker_id=None, **controls).mel_postnet.cpu()

    utterances = [(37, 0, 1.0), (37, 1, 1.0), (37, 1, 1.0), (44, 2, 1.0), (44, 2, 1.5), (33, 3, 1.0), (44, 4, 1.0)] * 3
    expected = [speak(model, *utterance) for utterance in utterances]
    with ThreadPoolExecutor(4) as threads:
        mels = list(threads.map(lambda utterance: speak(recorded, *utterance), utterances))
    for mel, wanted in zip(mels, expected, strict=True):
        assert mel.shape == wanted.shape
        assert (mel - wanted).square().mean().sqrt() < 0.02 * wanted.std()


@pytest.mark.parametrize("recipe", ["hifigan", "sourcefilter"])
def test_recorded_audio_is_that_of_the_vocoder(recipe, monkeypatch):
    monkeypatch.setattr(models.graphs, "CALLS_BEFORE_RECORDING", 1)
    from bins.benchmarking.untrained import untrained_vocoder

    torch.manual_seed(0)
    vocoder = untrained_vocoder(load_config(ROOT / f"egs/vocoder/{recipe}/exp_config.json"), torch.device("cuda"))
    for num_frames in (70, 100, 128, 100, 65):
        mel = torch.randn(1, num_frames, 80, device="cuda") - 5
        lengths = torch.tensor([num_frames], device="cuda")
        with torch.inference_mode():
            expected = vocoder.network(mel, lengths)["wav"][0]
        (wav,) = vocoder(mel, lengths)
        assert wav.shape == expected.shape
        # The end of the padded row may differ by what a filter reaches over it.
        assert (wav - expected)[:-2048].square().mean().sqrt() < 0.05 * expected.square().mean().sqrt() > 0
