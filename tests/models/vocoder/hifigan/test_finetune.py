"""HiFi-GAN that starts from the weights of another one, of this toolkit or published."""

import json
import sys

import pytest
import torch
from safetensors.torch import save_file as save_torch

from bins.train import main
from config.load import load_config
from models.vocoder.hifigan.finetune import read_start
from tests.models.vocoder.hifigan.conftest import HOP, RATE, newest, run, weights
from utils.checkpoint import read_weights
from utils.errors import UserError


def test_fine_tuning_does_not_go_on_with_another_models_mels(small_config, clips):
    (clips / "acoustic.json").write_text('{"checkpoint": "step-0001000"}')
    exp_dir = run(small_config, "first", "train.max_steps=3")
    assert (exp_dir / "acoustic.json").is_file()
    (clips / "acoustic.json").write_text('{"checkpoint": "step-0002000"}')
    with pytest.raises(UserError, match="with another checkpoint of the acoustic model"):
        run(small_config, "first", resume=True)


def test_a_published_vocoder_to_start_from(small_config, caplog):
    first = run(small_config, "first")
    start = newest(first)
    # Steps of no length: what comes out is what it started from.
    still = ("train.adam.lr=1e-30", "train.max_steps=1")
    second = run(small_config, "second", *still, start_from=start)
    before, after = weights(first), weights(second)
    for name, weight in before.items():
        if name.startswith("ema") or (name.startswith("model_1") and "._" not in name):
            torch.testing.assert_close(after[name], weight, atol=1e-6, rtol=1e-4)

    published = small_config.parent / "published"
    published.mkdir()
    args = json.loads((first / "args.json").read_text())
    jik876 = {**args["model"], "sampling_rate": RATE, "num_mels": 16, "n_fft": 256, "win_size": 256, "hop_size": HOP}
    (published / "config.json").write_text(json.dumps({**jik876, "fmin": 0, "fmax": 4000}))
    torch.save({"generator": read_weights(start / "ema.safetensors")}, published / "g_00000012")
    parts = {"mpd": {}, "msd": {}}
    for name, weight in read_weights(start / "model_1.safetensors").items():
        part, _, key = name.partition(".")
        for new, old in LEGACY.items():
            key = key.replace(new, old)
        parts[part][key] = weight
    torch.save(parts, published / "do_00000012")
    third = weights(run(small_config, "third", *still, start_from=published))
    for name, weight in weights(second).items():
        torch.testing.assert_close(third[name], weight, atol=1e-6, rtol=1e-4)

    with pytest.raises(UserError, match=r"model\.upsample_initial_channel: 8 in the folder, 16 in the configuration"):
        run(small_config, "fourth", "model.upsample_initial_channel=16", start_from=published)
    assert not (first.parent / "fourth").exists()


LEGACY = {
    "parametrizations.weight.original0": "weight_g",
    "parametrizations.weight.original1": "weight_v",
    "parametrizations.weight.original": "weight_orig",
    "parametrizations.weight.0._": "weight_",
}


def test_what_is_no_vocoder_is_nothing_to_start_from(small_config):
    with pytest.raises(UserError, match="no vocoder"):
        run(small_config, "first", start_from=small_config.parent / "data")


def test_fine_tuning_that_was_stopped_early_does_not_start_from_nothing(small_config, monkeypatch):
    flags = ["--config", str(small_config), "--exp_name", "x", "--acoustic_dir", "voice", "--resume"]
    monkeypatch.setattr(sys, "argv", ["train.py", *flags])
    (small_config.parent / "ckpts/x").mkdir(parents=True)
    with pytest.raises(UserError, match="ckpts/x has no checkpoint to resume from.*--resume_from_ckpt_path"):
        main()


def test_discriminators_of_another_toolkit_are_not_taken(small_config):
    """Amphion's folders hold the generator under any number."""
    first = run(small_config, "first", "train.max_steps=1", "train.ema_decay=null")
    folder = newest(first)
    generator = read_weights(folder / "model.safetensors")
    save_torch({"discriminators.0.conv_post.bias": torch.zeros(1)}, folder / "model.safetensors")
    save_torch(generator, folder / "model_1.safetensors")
    config = load_config(small_config)
    start = read_start(first, config.model.generator, config.preprocess.mel)
    assert start.adversary is None and "conv_pre.weight" in start.generator
