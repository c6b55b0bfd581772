"""A step trains the same however it is divided over batches and processes, recorded, or compiled."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

import models.graphs
from models.graphs import StepGraphs
from models.tts.fastspeech2.trainer import FastSpeech2Trainer
from modules.masked_batch_norm import MaskedBatchNorm1d
from utils.checkpoint import list_checkpoints, read_weights
from utils.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
# Dropout draws by shape, by process and by kernel, and the rest of an epoch's utterances differ with the number of
# processes or batches; nothing else may.
EXACT = (
    "model.transformer.encoder_dropout=0",
    "model.transformer.decoder_dropout=0",
    "model.variance_predictor.dropout=0",
    "model.postnet.dropout=0",
    "train.mixed_precision=no",
    "train.max_steps=20",
    "train.lr_scheduler.num_warmup=100",
    "train.adam.eps=1e-4",  # the key's bias has no gradient but rounding, which Adam would blow up to full steps
)
FIFTY, LONG = "train.max_steps=50", 1e-4  # steps, in which rounding grows to this


@pytest.fixture(autouse=True)
def _exact(on_cpu):
    """Nothing but the steps' form may differ here."""


class Pair(NamedTuple):
    a: Tensor
    b: Tensor


def test_a_step_runs_as_written_once_and_is_then_recorded_by_shape(recorder):
    calls = Counter()

    def step(batches, counts):
        calls[tuple(batch.a.shape for batch in batches)] += 1
        return {"sum": sum((batch.a * batch.b).sum() for batch in batches) / counts["n"]}

    graphs = StepGraphs(step, recorder)
    seen, expected = [], []
    for size in (2, 3, 2, 2, 3, 4):
        batches = [Pair(torch.randn(size), torch.randn(size)) for _ in range(2)]
        count = torch.rand(())
        seen.append(graphs(batches, {"n": count})["sum"])
        expected.append(step(batches, {"n": count})["sum"])
        calls[tuple(batch.a.shape for batch in batches)] -= 1
    assert recorder.recorded == 2  # of 2 and of 3; 4 came once
    assert sum(calls.values()) == 6  # each step was done once
    torch.testing.assert_close(torch.stack(seen), torch.stack(expected), rtol=0, atol=0)


def test_a_shape_is_recorded_after_so_many_steps(recorder):
    graphs = StepGraphs(lambda _, inputs: {"sum": inputs["x"].sum()}, recorder, unrecorded=3)
    for number in range(6):
        assert graphs([], {"x": torch.full((2,), float(number))})["sum"] == 2 * number
        assert recorder.recorded == (number >= 3)


def test_shapes_of_single_tensors_are_told_apart(recorder):
    graphs = StepGraphs(lambda _, inputs: {"sum": inputs["x"].sum()}, recorder)
    for size in (2, 3, 2, 3, 2):
        assert graphs([], {"x": torch.full((size,), float(size))})["sum"] == size**2
    assert recorder.recorded == 2


def test_beyond_so_many_shapes_steps_run_as_written(recorder, monkeypatch):
    monkeypatch.setattr(models.graphs, "MOST_RECORDINGS", 2)
    graphs = StepGraphs(lambda batches, counts: {"sum": batches[0].a.sum()}, recorder)
    for size in (1, 2, 3, 1, 2, 3, 3):
        pair = Pair(torch.ones(size), torch.ones(size))
        assert graphs([pair], {})["sum"] == size
    assert recorder.recorded == 2


def totals(printed):
    """The losses of the log's lines."""
    return torch.tensor([float(value) for value in re.findall(r"step .* mel [\d.]+ .*total ([\d.]+)", printed)])


def weights(checkpoint):
    return read_weights(checkpoint / "model.safetensors")


def assert_equal_weights(one, other, tolerance=1e-5):
    assert one.keys() == other.keys()
    for name, weight in one.items():
        torch.testing.assert_close(
            weight, other[name], atol=tolerance, rtol=tolerance, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("accumulation", [1, 2])
def test_recorded_steps_train_as_written_ones(trained, monkeypatch, request, accumulation):
    settings = (*EXACT, FIFTY, f"train.gradient_accumulation_step={accumulation}")
    written = weights(trained("written", *settings))
    recorder, shapes = request.getfixturevalue("recorded_steps"), Counter()
    original = FastSpeech2Trainer.few_shapes

    def few_shapes(self, batches):
        batches = original(self, batches)
        shapes[tuple((*batch.phone_ids.shape, batch.mel.shape[1]) for batch in batches)] += 1
        return batches

    monkeypatch.setattr(FastSpeech2Trainer, "few_shapes", few_shapes)
    recorded = weights(trained("recorded", *settings))
    assert recorder.recorded == sum(count > 1 for count in shapes.values()) > 1
    assert all(phones % 32 == 0 and frames % 16 == 0 for steps in shapes for _, phones, frames in steps)
    assert_equal_weights(written, recorded, LONG)


def test_no_step_waits_for_the_device(trained, monkeypatch, nothing_waits):
    original, steps = FastSpeech2Trainer.train_step, []

    def train_step(self, *args):
        with nothing_waits():
            steps.append(original(self, *args))
        return steps[-1]

    monkeypatch.setattr(FastSpeech2Trainer, "train_step", train_step)
    trained("first", "train.gradient_accumulation_step=2", "train.max_steps=2")
    assert len(steps) == 2


def test_what_waits_is_found(nothing_waits):
    x = torch.randn(4)
    for wait in (lambda: x.sum().item(), lambda: bool(x.any()), lambda: x[x > 0], lambda: int(x.argmax())):
        with pytest.raises(AssertionError, match="wait"), nothing_waits():
            wait()


def test_shapes_never_exceed_what_the_model_takes(trained, recorded_steps):
    longest = 40  # above the longest utterance, no multiple of 16
    trained("short", f"model.max_seq_len={longest}", "train.max_steps=4")


def test_a_model_that_hears_its_padding_gets_no_more_of_it(trained, monkeypatch, recorded_steps):
    def refuse(self, batches):
        widened = original(self, batches)
        assert widened is batches
        return widened

    original = FastSpeech2Trainer.few_shapes
    monkeypatch.setattr(FastSpeech2Trainer, "few_shapes", refuse)
    trained("leaking", "model.mask_padding=false", "train.max_steps=4")


def test_graphs_alone_need_a_gpu(small_config, trained):
    with pytest.raises(UserError, match='train.compile = "graphs" needs one process on a GPU') as raised:
        trained("graphs", 'train.compile="graphs"')
    assert raised.value.exit_code == 2
    assert not (small_config.parent / "ckpts/graphs").exists()


def test_fused_kernels_train_as_written_ones(trained, capsys):
    written = weights(trained("written", *EXACT, FIFTY))
    expected = totals(capsys.readouterr().out)
    fused = weights(trained("fused", *EXACT, FIFTY, "train.compile=true"))
    printed = capsys.readouterr().out
    assert "precision no, compiled" in printed
    assert len(expected) == 25
    torch.testing.assert_close(totals(printed), expected, rtol=1e-3, atol=0)
    assert_equal_weights(written, fused, LONG)


def test_resumed_with_fused_kernels_is_uninterrupted(trained):
    """With dropout, whose numbers the compiler draws by a generator of its own."""
    whole = weights(trained("whole", "train.compile=true"))
    trained("stopped", "train.compile=true", "train.max_steps=6")
    resumed = weights(trained("stopped", "train.compile=true", resume=True))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_without_a_compiler_it_is_told_what_to_do(small_config, tmp_path):
    command = [sys.executable, ROOT / "bins/train.py", "--config", small_config, "--exp_name", "first"]
    environment = {**os.environ, "CXX": "/no/compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run([*command, "--set", "train.compile=true"], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    said = r"train\.compile: torch\.compile does not work here \(InvalidCxxCompiler: .*\)\. It needs a C\+\+ compiler"
    assert re.fullmatch(said + ".*\n", done.stderr)


def test_accumulating_2_times_4_equals_8(trained, monkeypatch):
    """But for the PostNet's batch statistics, which are those of the batch at hand: it uses the running ones here."""
    monkeypatch.setattr(MaskedBatchNorm1d, "_statistics", lambda self, *args: (self.running_mean, self.running_var))
    whole = weights(trained("whole", *EXACT, "train.batch_size=8"))
    parts = ("train.batch_size=4", "train.gradient_accumulation_step=2")
    assert_equal_weights(whole, weights(trained("parts", *EXACT, *parts)))


def test_two_processes_with_half_the_batch_equal_one(small_config, trained):
    """gloo stands for NCCL; without `--multi_gpu`, accelerate would silently start one process."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    command += [ROOT / "bins/train.py", "--config", small_config, "--exp_name", "two"]
    command += [f"--set={setting}" for setting in (*EXACT, "train.batch_size=4")]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "on 2 processes" in done.stdout
    assert "Warning" not in done.stderr
    assert done.stdout.count("step 20/20") == 1  # one process speaks
    exp_dir = small_config.parent / "ckpts/two"
    checkpoint = list_checkpoints(exp_dir / "checkpoint")[-1]
    assert checkpoint[0] == 20 and (checkpoint[1] / "random_states_1.pkl").is_file()
    one = trained("one", *EXACT, "train.batch_size=8")
    assert_equal_weights(weights(one), weights(checkpoint[1]))

    def losses(name):
        events = EventAccumulator(str(small_config.parent / "ckpts" / name / "log")).Reload()
        return [event.value for name in ("train/total", "valid/total") for event in events.Scalars(name)]

    assert losses("one") == pytest.approx(losses("two"), rel=1e-4)
