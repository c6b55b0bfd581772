"""Stage 2 of the source-filter vocoder: losses, checkpoints, and going on from them."""

import re
import shutil

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from config.load import ConfigError, load_config
from models.vocoder.load import load_vocoder
from models.vocoder.sourcefilter.trainer import SourceFilterTrainer
from utils.checkpoint import list_checkpoints, read_weights
from utils.errors import UserError


def newest(exp_dir):
    return list_checkpoints(exp_dir / "checkpoint")[-1][1]


def weights(exp_dir):
    """Generator, discriminators and average of the newest checkpoint."""
    files = {name: read_weights(newest(exp_dir) / f"{name}.safetensors") for name in ("model", "model_1", "ema")}
    return {f"{name}: {key}": value for name, state in files.items() for key, value in state.items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.mark.parametrize("call", [3, 5, 8], ids=["before discriminators", "in the first epoch", "in the second epoch"])
def test_killed_and_resumed_gives_the_same_weights_bit_for_bit(trained, monkeypatch, call):
    setting = ("train.max_steps=9", "train.valid_every=9", "train.save_every=2")
    whole = weights(trained("whole", *setting))
    original, calls = SourceFilterTrainer.generator_losses, iter(range(1, 100))

    def losses(self, *args):
        if next(calls) == call:
            raise Killed
        return original(self, *args)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(SourceFilterTrainer, "generator_losses", losses)
        trained("killed", *setting)
    assert same(whole, weights(trained("killed", *setting, resume=True)))


def test_where_the_data_lie_does_not_matter_and_the_seed_does(trained):
    setting = ("train.max_steps=6", "train.valid_every=9")
    one = weights(trained("one", *setting))
    assert same(one, weights(trained("resident", *setting, "train.data_on_device=true")))
    assert not same(one, weights(trained("other", *setting, "train.random_seed=1")))


def test_discriminators_join_at_their_step(trained):
    exp_dir = trained("first")
    events = EventAccumulator(str(exp_dir / "log")).Reload()
    for name in ("mel", "pitch", "total", "gradient_norm", "learning_rate"):
        assert [event.step for event in events.Scalars(f"train/{name}")] == [2, 4, 6, 8, 10, 12]
    for name in ("discriminator", "adversarial", "feature", "discriminator_gradient_norm"):
        assert [event.step for event in events.Scalars(f"train/{name}")] == [6, 8, 10, 12]
    rates = [event.value for event in events.Scalars("train/learning_rate")]
    assert max(rates) == rates[1] and rates[-1] == pytest.approx(5e-4 * 0.02)
    start, before = (newest(trained(f"until-{n}", f"train.max_steps={n}")) for n in (1, 4))
    untouched = [read_weights(folder / "model_1.safetensors") for folder in (start, before)]
    assert same(*untouched)
    assert not same(untouched[0], read_weights(newest(exp_dir) / "model_1.safetensors"))


@pytest.mark.parametrize("accumulation", [1, 2])
def test_no_step_waits_for_the_device(trained, monkeypatch, nothing_waits, accumulation):
    original, steps = SourceFilterTrainer.train_step, []

    def train_step(self, *args):
        with nothing_waits():
            steps.append(original(self, *args))
        return steps[-1]

    monkeypatch.setattr(SourceFilterTrainer, "train_step", train_step)
    trained("first", "train.max_steps=6", f"train.gradient_accumulation_step={accumulation}")
    assert len(steps) == 6


def test_recorded_steps_give_the_same_weights(trained, request, on_cpu):
    """But for the learning rate, which a recording reads from a tensor of float32."""
    setting = ("train.max_steps=9", "train.valid_every=9")
    written = weights(trained("written", *setting))
    recorder = request.getfixturevalue("recorded_steps")
    recorded = weights(trained("recorded", *setting))
    assert recorder.recorded == 2  # without discriminators, and with them
    for name, weight in written.items():
        torch.testing.assert_close(recorded[name], weight, atol=1e-5, rtol=1e-5, msg=f"{name}: {{}}".format)


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", ["false", '"graphs"', "true"])
def test_resumed_on_a_gpu_is_uninterrupted_bit_for_bit(trained, deterministic, compiled):
    setting = ("train.max_steps=9", "train.valid_every=9", f"train.compile={compiled}")
    exp_dir = trained("first", *setting)
    whole = weights(exp_dir)
    shutil.rmtree(newest(exp_dir))
    assert newest(exp_dir).name == "step-0000006"
    assert same(whole, weights(trained("first", *setting, resume=True)))


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", ['"graphs"', '"kernels"', "true"])
def test_compiled_steps_train_as_written_ones_on_a_gpu(trained, compiled):
    setting = ("train.max_steps=40", "train.adversary_start=20", "train.valid_every=40", "train.save_every=40")
    losses = []
    for name, choice in (("written", "false"), ("compiled", compiled)):
        folder = trained(name, *setting, f"train.compile={choice}", "train.mixed_precision=no")
        events = EventAccumulator(str(folder / "log")).Reload().Scalars("train/mel")
        losses.append([event.value for event in events])
    # A recording draws other noise and phases than the step as it is written.
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_the_losses_fall(trained, capsys, precision):
    trained(
        "first", "train.max_steps=100", "train.adversary_start=90", "train.adam.lr=2e-3", "train.valid_every=100",
        "train.save_every=100", "train.log_every=10", f"train.mixed_precision={precision}", "train.predicted_pitch=0",
    )  # fmt: skip
    out = capsys.readouterr().out
    for name in ("mel", "pitch"):
        values = [float(value) for value in re.findall(rf"  {name} ([\d.]+)", out)]
        assert values[-1] < 0.85 * values[0]


def test_the_experiment_is_a_vocoder_as_it_is(trained, small_config):
    exp_dir = trained("first")
    mel, lengths = torch.randn(1, 20, 16) - 4, torch.tensor([20])
    folders = (exp_dir, exp_dir / "checkpoint", newest(exp_dir), newest(exp_dir) / "ema.safetensors")
    waves = [load_vocoder(folder)(mel, lengths)[0] for folder in folders]
    assert waves[0].shape == (20 * 64,) and all(torch.equal(wave, waves[0]) for wave in waves)
    assert load_vocoder(exp_dir / "best")(mel, lengths)[0].shape == (20 * 64,)
    assert str(small_config.parent) not in (exp_dir / "args.json").read_text()


def test_clips_without_pitch_are_an_error(trained, clips):
    path = clips / "shards/shard-00000.safetensors"
    save_file({key: value for key, value in load_file(path).items() if not key.endswith(".pitch")}, path)
    with pytest.raises(UserError, match="have no pitch"):
        trained("first")


def test_unusable_settings_are_named(small_config):
    wrong = {
        "train.segment_size": ("100", "multiple of preprocess.hop_size"),
        "train.segment_size ": ("256", "at least the longest Fourier transform, 512"),
        "train.predicted_pitch": ("1.5", "less than 1"),
        "model.kernel_size": ("4", "odd"),
        "model.discriminator.n_ffts": ("[510]", "multiples of 4"),
    }
    for key, (value, message) in wrong.items():
        with pytest.raises(ConfigError, match=message):
            load_config(small_config, [f"{key.strip()}={value}"])


def test_fine_tuning_starts_from_the_weights_and_hears_the_acoustic_models_mels(trained, clips, monkeypatch):
    first = trained("first")
    path = clips / "shards/shard-00000.safetensors"
    tensors = load_file(path)
    mels = {
        key.replace(".wav", ".mel"): np.full((len(wav) // 64, 16), -3.0, np.float16)
        for key, wav in tensors.items()
        if key.endswith(".wav")
    }
    save_file({**tensors, **mels}, path)
    heard = []
    original = SourceFilterTrainer.input_mel_of
    monkeypatch.setattr(
        SourceFilterTrainer, "input_mel_of", lambda self, batch: heard.append(original(self, batch)) or heard[-1]
    )
    # Steps of no length: what comes out is what it started from.
    still = ("train.adam.lr=1e-30", "train.max_steps=1", "train.adversary_start=0")
    second = trained("second", *still, start_from=newest(first))
    assert all((mel[mel > -11] == -3).all() for mel in heard)
    before, after = weights(first), weights(second)
    for name, weight in before.items():
        if name.startswith(("ema", "model_1")):
            torch.testing.assert_close(after[name], weight, atol=1e-6, rtol=1e-4)
    with pytest.raises(UserError, match=r"model\.channels: 16 in the folder, 24 in the configuration"):
        trained("third", "model.channels=24", start_from=first)


def test_without_discriminators_to_start_from_new_ones_are_trained(trained, capsys):
    first = trained("first", "train.max_steps=3")
    (newest(first) / "model_1.safetensors").unlink()
    trained("second", "train.max_steps=1", start_from=first)
    assert "has no discriminators" in capsys.readouterr().out


def test_discriminators_of_other_sizes_are_trained_anew(trained, capsys):
    first = trained("first", "train.max_steps=3", "train.adversary_start=0")
    larger = trained(
        "second", "train.max_steps=1", "model.discriminator.spectrogram_channels=12", start_from=newest(first)
    )
    assert "has discriminators of other sizes" in capsys.readouterr().out
    assert any(12 in weight.shape for name, weight in weights(larger).items() if name.startswith("model_1: "))
