"""Stage 2 of the vocoder recipe: adversarial training, and its checkpoints."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from models.vocoder.hifigan.load import load_vocoder
from models.vocoder.hifigan.trainer import HiFiGANTrainer
from tests.models.vocoder.hifigan.conftest import HOP, newest, run, weights
from utils.checkpoint import read_weights
from utils.errors import UserError

ROOT = Path(__file__).resolve().parents[4]


def scalars(exp_dir, name):
    """What TensorBoard shows under this name, in order."""
    return [event.value for event in EventAccumulator(str(exp_dir / "log")).Reload().Scalars(name)]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.mark.parametrize(
    ("accumulation", "calls"), [(1, (5, 8)), (2, (10, 13))], ids=["one batch a step", "two batches a step"]
)
def test_killed_and_resumed_gives_the_same_weights_bit_for_bit(small_config, monkeypatch, accumulation, calls):
    setting = ("train.max_steps=9", "train.valid_every=9", f"train.gradient_accumulation_step={accumulation}")
    whole = weights(run(small_config, "whole", *setting))
    original = HiFiGANTrainer.generator_losses
    for call in calls:  # the first comes after a checkpoint, in the middle of an epoch; the second in a later one
        count = iter(range(1, 10**6))

        def losses(self, *args, count=count, call=call):  # between the discriminators' step and the generator's
            if next(count) == call:
                raise Killed
            return original(self, *args)

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(HiFiGANTrainer, "generator_losses", losses)
            run(small_config, f"killed-{call}", *setting)
        assert same(whole, weights(run(small_config, f"killed-{call}", *setting, resume=True)))


def test_killed_while_saving_costs_nothing(small_config, monkeypatch):
    whole = weights(run(small_config, "whole", "train.max_steps=6"))
    original = HiFiGANTrainer.save_more

    def save_half(self, folder):
        original(self, folder)
        if self.step == 6:
            (folder / "ema.safetensors").write_bytes(b"half")
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(HiFiGANTrainer, "save_more", save_half)
        run(small_config, "killed", "train.max_steps=6")
    assert newest(small_config.parent / "ckpts/killed").name == "step-0000003"
    assert same(whole, weights(run(small_config, "killed", "train.max_steps=6", resume=True)))


def test_the_seed_decides_and_where_the_data_lie_does_not(small_config):
    setting = ("train.max_steps=3", "train.valid_every=9")
    one = weights(run(small_config, "one", *setting))
    assert same(one, weights(run(small_config, "resident", *setting, "train.data_on_device=true")))
    assert not same(one, weights(run(small_config, "other", *setting, "train.random_seed=1")))


@pytest.mark.parametrize("accumulation", [1, 2])
def test_recorded_steps_give_the_same_weights(small_config, request, on_cpu, accumulation):
    """But for the learning rate, which a recording reads from a tensor of float32."""
    setting = ("train.max_steps=6", "train.valid_every=9", f"train.gradient_accumulation_step={accumulation}")
    written = weights(run(small_config, "written", *setting))
    recorder = request.getfixturevalue("recorded_steps")
    recorded = weights(run(small_config, "recorded", *setting))
    assert recorder.recorded == 1  # all steps are of one shape
    assert_equal_weights(written, recorded)


@pytest.mark.parametrize(
    "compiled",
    ['"kernels"', pytest.param('"graphs"', marks=pytest.mark.gpu), pytest.param("true", marks=pytest.mark.gpu)],
)
def test_compiled_steps_train_as_written_ones(small_config, compiled):
    """50 steps, in which rounding grows: Adam's steps are as large where a gradient is small.

    In float32: an untrained generator's output is so quiet that bfloat16's rounding decides its log-mel, and compiled
    kernels round less often.
    """
    on_gpu = torch.cuda.is_available()  # there with TF32, and kernels that add in varying order
    setting = ("train.max_steps=50", "train.valid_every=50", "train.save_every=50", "train.mixed_precision=no")
    written, fused = (
        run(small_config, name, *setting, f"train.compile={choice}")
        for name, choice in (("written", "false"), ("compiled", compiled))
    )
    losses = [scalars(folder, "train/total") for folder in (written, fused)]
    assert len(losses[0]) == 25
    assert losses[1] == pytest.approx(losses[0], rel=0.03 if on_gpu else 1e-3)
    a, b = weights(written), weights(fused)
    assert a.keys() == b.keys()
    assert on_gpu or all(torch.allclose(a[name], b[name], atol=2e-4) for name in a)


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", ["false", '"graphs"', "true"])
def test_resumed_on_a_gpu_is_uninterrupted_bit_for_bit(small_config, deterministic, compiled):
    setting = ("train.max_steps=9", "train.valid_every=9", f"train.compile={compiled}")
    whole = weights(run(small_config, "whole", *setting))
    run(small_config, "stopped", *setting, "train.max_steps=6")
    assert same(whole, weights(run(small_config, "stopped", *setting, resume=True)))


def test_the_experiment_is_a_vocoder_as_it_is(small_config, clips):
    exp_dir = run(small_config, "first")
    mel, lengths = torch.randn(1, 20, 16), torch.tensor([20])
    wavs = {name: load_vocoder(path)(mel, lengths)[0] for name, path in folders(exp_dir).items()}
    assert wavs["experiment"].shape == (20 * HOP,)
    assert torch.equal(wavs["experiment"], wavs["newest checkpoint"])
    assert torch.equal(wavs["experiment"], wavs["all checkpoints"])
    assert torch.equal(wavs["experiment"], wavs["as published ones call it"])
    assert wavs["best"].shape == (20 * HOP,)
    average = read_weights(newest(exp_dir) / "ema.safetensors")
    assert all(torch.equal(v, average[k]) for k, v in load_vocoder(exp_dir).generator.state_dict().items())
    assert str(small_config.parent) not in (exp_dir / "args.json").read_text()


def folders(exp_dir):
    return {
        "experiment": exp_dir,
        "all checkpoints": exp_dir / "checkpoint",
        "as published ones call it": exp_dir / "checkpoints",
        "newest checkpoint": newest(exp_dir),
        "best": exp_dir / "best",
    }


def test_without_an_average_the_weights_themselves_are_exported(small_config):
    exp_dir = run(small_config, "first", "train.ema_decay=null", "train.max_steps=6")
    assert not (newest(exp_dir) / "ema.safetensors").exists()
    best = read_weights(exp_dir / "best/model.safetensors")
    for name, weight in load_vocoder(exp_dir).generator.state_dict().items():
        torch.testing.assert_close(weight, best[name], atol=1e-6, rtol=1e-5)


def test_the_average_follows_the_weights(small_config):
    last = {}
    for decay in (0.5, 0.999):
        exp_dir = run(small_config, f"at-{decay}", f"train.ema_decay={decay}")
        average = read_weights(newest(exp_dir) / "ema.safetensors")
        now = load_vocoder(newest(exp_dir) / "model.safetensors").generator.state_dict()
        last[decay] = sum(float((now[name] - average[name]).abs().sum()) for name in now)
    assert 0 < last[0.5] < last[0.999]


# A step is the same however its segments are divided.
EXACT = ("train.max_steps=20", "train.adam.eps=1e-3", "train.valid_every=20", "train.save_every=20")


def assert_equal_weights(one, other):
    for name, weight in one.items():
        message = f"{name}: {{}}".format
        torch.testing.assert_close(weight, other[name], atol=1e-5, rtol=1e-5, msg=message)


def test_accumulating_2_times_2_equals_4(small_config):
    whole = weights(run(small_config, "whole", *EXACT, "train.batch_size=4"))
    parts = ("train.batch_size=2", "train.gradient_accumulation_step=2")
    assert_equal_weights(whole, weights(run(small_config, "parts", *EXACT, *parts)))


def test_two_processes_with_half_the_batch_equal_one(small_config):
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    command += [ROOT / "bins/train.py", "--config", small_config, "--exp_name", "two"]
    command += [f"--set={setting}" for setting in (*EXACT, "train.batch_size=2")]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "on 2 processes" in done.stdout
    assert "Warning" not in done.stderr
    one = run(small_config, "one", *EXACT, "train.batch_size=4")
    two = one.parent / "two"
    assert_equal_weights(weights(one), weights(two))

    def distances(folder):
        return [scalars(folder, f"valid/{name}")[-1] for name in ("mel", "stft", "periodicity", "voicing")]

    assert distances(one) == pytest.approx(distances(two), rel=1e-3)


def test_training_in_bfloat16(small_config, capsys):
    run(small_config, "first", "train.mixed_precision=bf16", "train.max_steps=30")
    totals = [float(value) for value in re.findall(r"total ([\d.]+)", capsys.readouterr().out)]
    assert totals[-1] < totals[0]


def test_tensorboard_shows_every_loss_and_the_sound(small_config):
    exp_dir = run(small_config, "first", "train.num_valid_samples=1", "train.lr_decay=0.5", "train.lr_decay_every=4")
    events = EventAccumulator(str(exp_dir / "log"), size_guidance={"images": 0, "audio": 0}).Reload()
    names = ["discriminator", "adversarial", "feature", "mel", "total", "gradient_norm", "discriminator_gradient_norm"]
    for name in [*names, "audio_seconds_per_second"]:
        assert [e.step for e in events.Scalars(f"train/{name}")] == [2, 4, 6, 8, 10, 12]
    for name in ("mel", "mel_without_average", "stft", "periodicity", "voicing"):
        assert [e.step for e in events.Scalars(f"valid/{name}")] == [6, 12]
    assert [e.step for e in events.Images("mel/valid-00")] == [6, 12]
    assert [e.step for e in events.Audio("synthesized/valid-00")] == [6, 12]
    assert [e.step for e in events.Audio("recorded/valid-00")] == [6]
    rates = [e.value for e in events.Scalars("train/learning_rate")]
    assert rates == pytest.approx([2e-4 * 0.5**times for times in (0, 0, 1, 1, 2, 2)])


def test_a_broken_clip_is_named(small_config, monkeypatch):
    original = HiFiGANTrainer.target
    monkeypatch.setattr(HiFiGANTrainer, "target", lambda self, batch: original(self, batch) * float("nan"))
    with pytest.raises(UserError, match=r"NaN .*train-\d\d"):
        run(small_config, "first")


def test_features_of_an_acoustic_model_are_not_taken_for_audio(small_config, clips):
    lock = json.loads((clips / "preprocess.lock.json").read_text())
    lock["preprocess"]["pitch_extractor"] = "dio"
    (clips / "preprocess.lock.json").write_text(json.dumps(lock))
    with pytest.raises(UserError, match="holds features for another kind of model"):
        run(small_config, "first")
