"""Stage 2: training, its log, its checkpoints, and going on from them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from safetensors.numpy import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import models.training.trainer
from bins.train import train
from config.load import build_config, load_config
from models.tts.fastspeech2.trainer import FastSpeech2Trainer
from utils.checkpoint import list_checkpoints, read_weights
from utils.data_folder import FEATURES_VERSION
from utils.errors import UserError
from utils.jsonl import read_json

ROOT = Path(__file__).resolve().parents[3]


def run(config_path, name, *overrides, resume=False, resume_from=None):
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    config = load_config(config_path, overrides)
    train(config, name, resume, resume_from)
    return Path(config.log_dir) / name


def final_weights(exp_dir):
    return read_weights(list_checkpoints(exp_dir / "checkpoint")[-1][1] / "model.safetensors")


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def kill_at(monkeypatch, batch):
    """Lets training die at the start of the given batch, counted from 1."""
    original, count = FastSpeech2Trainer.losses, iter(range(1, 10**6))

    def losses(self, *args):
        if next(count) == batch:
            raise Killed
        return original(self, *args)

    monkeypatch.setattr(FastSpeech2Trainer, "losses", losses)


@pytest.mark.parametrize(
    ("batch", "accumulation"),
    [(5, 1), (8, 1), (9, 1), (9, 2), (16, 2)],
    ids=["mid-epoch", "epoch start", "step after", "mid-accumulation", "later epoch"],
)
def test_killed_and_resumed_gives_the_same_weights_bit_for_bit(small_config, monkeypatch, batch, accumulation):
    setting = f"train.gradient_accumulation_step={accumulation}"
    whole = final_weights(run(small_config, "whole", setting))
    with monkeypatch.context() as patch:
        kill_at(patch, batch)
        with pytest.raises(Killed):
            run(small_config, "killed", setting)
    resumed = final_weights(run(small_config, "killed", setting, resume=True))
    assert same(whole, resumed)
    other_seed = final_weights(run(small_config, "other", setting, "train.random_seed=1"))
    assert not same(whole, other_seed)


def test_killed_while_saving_costs_nothing(small_config, monkeypatch):
    whole = final_weights(run(small_config, "whole"))
    with monkeypatch.context() as patch:
        original = models.training.trainer.Accelerator.save_state

        def save_half(self, output_dir):
            original(self, output_dir)
            if output_dir.endswith("-6"):
                (Path(output_dir) / "model.safetensors").write_bytes(b"half")
                raise Killed

        patch.setattr(models.training.trainer.Accelerator, "save_state", save_half)
        with pytest.raises(Killed):
            run(small_config, "killed")
    exp_dir = run(small_config, "killed", resume=True)
    assert same(whole, final_weights(exp_dir))
    assert not list((exp_dir / "checkpoint").glob(".*"))


def test_killed_for_real_and_resumed_by_command(small_config):
    command = [sys.executable, ROOT / "bins/train.py", "--config", small_config, "--set", "train.max_steps=150"]
    command += ["--set", "train.valid_every=1000", "--set", "train.save_every=20"]
    killed = subprocess.Popen([*command, "--exp_name", "killed"], stdout=subprocess.DEVNULL)
    checkpoints = small_config.parent / "ckpts/killed/checkpoint"
    deadline = time.monotonic() + 60
    while not list_checkpoints(checkpoints) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    reached = list_checkpoints(checkpoints)[-1][0]
    assert reached < 150
    refused = subprocess.run([*command, "--exp_name", "killed"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert re.search(r"killed exists and is at step [\d,]+\. Add --resume", refused.stderr)
    assert "Traceback" not in refused.stderr
    subprocess.run([*command, "--exp_name", "killed", "--resume"], check=True, stdout=subprocess.DEVNULL)
    whole = run(small_config, "whole", "train.max_steps=150", "train.valid_every=1000", "train.save_every=20")
    assert same(final_weights(whole), final_weights(checkpoints.parent))


def test_the_same_command_again_changes_nothing(small_config):
    exp_dir = run(small_config, "first")
    before = {path: path.stat().st_mtime_ns for path in exp_dir.rglob("*")}
    with pytest.raises(UserError, match=r"first exists and is at step 12\. Add --resume .* another --name") as caught:
        run(small_config, "first", "train.max_steps=20")
    assert caught.value.exit_code == 2
    assert {path: path.stat().st_mtime_ns for path in exp_dir.rglob("*")} == before


def test_resume_goes_further_when_asked(small_config):
    exp_dir = run(small_config, "first")
    run(small_config, "first", "train.max_steps=15", resume=True)
    assert list_checkpoints(exp_dir / "checkpoint")[-1][0] == 15
    assert json.loads((exp_dir / "args.json").read_text())["train"]["max_steps"] == 15


def test_resume_without_a_checkpoint_starts(small_config, caplog, monkeypatch):
    with monkeypatch.context() as patch:
        kill_at(patch, 2)
        with pytest.raises(Killed):
            run(small_config, "early")
    with pytest.raises(UserError, match="has no checkpoint yet"):
        run(small_config, "early")
    exp_dir = run(small_config, "early", resume=True)
    assert list_checkpoints(exp_dir / "checkpoint")[-1][0] == 12


def test_resume_with_another_model_names_the_field(small_config):
    run(small_config, "first")
    with pytest.raises(UserError, match=r"model\.postnet\.hidden: 16 then, 8 now"):
        run(small_config, "first", "model.postnet.hidden=8", resume=True)


def test_the_best_weights_are_not_overwritten_by_a_new_start(small_config):
    exp_dir = run(small_config, "first")
    shutil.rmtree(exp_dir / "checkpoint")
    with pytest.raises(UserError, match="no checkpoint to resume from, but best/"):
        run(small_config, "first", resume=True)


def test_a_damaged_shard_is_named(small_config, features):
    shard = features / "shards/shard-00000.safetensors"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"shard-00000\.safetensors is damaged .*run stage 1 again"):
        run(small_config, "first")


def test_a_branch_starts_from_the_given_checkpoint(small_config):
    exp_dir = run(small_config, "first")
    middle = list_checkpoints(exp_dir / "checkpoint")[-2][1]
    with pytest.raises(UserError, match="another --name"):
        run(small_config, "first", resume_from=middle)
    branch = run(small_config, "branch", resume_from=middle)
    assert same(final_weights(branch), final_weights(exp_dir))
    with pytest.raises(UserError, match="not a checkpoint folder"):
        run(small_config, "nowhere", resume_from=exp_dir)


def test_the_folder_holds_what_synthesis_needs_and_no_path_of_the_features(small_config, features):
    exp_dir = run(small_config, "first")
    for name in ("symbols.json", "stats.json", "speakers.json"):
        assert read_json(exp_dir / name) == read_json(features / name)
    steps = [step for step, _ in list_checkpoints(exp_dir / "checkpoint")]
    assert steps == [6, 9, 12]  # the last three of 3, 6, 9, 12
    assert read_weights(exp_dir / "best/model.safetensors").keys() == final_weights(exp_dir).keys()

    args = json.loads((exp_dir / "args.json").read_text())
    assert str(small_config.parent) not in json.dumps(args)
    assert build_config(args).model == load_config(small_config).model


def test_the_users_own_words_go_with_the_experiment(small_config):
    lexicon = small_config.parent / "words.txt"
    lexicon.write_text("lyre L AY1 R\n")
    exp_dir = run(small_config, "first", f"preprocess.lexicon_path={lexicon}")
    assert (exp_dir / "lexicon.txt").read_text() == "lyre L AY1 R\n"


def test_a_resume_on_other_features_is_refused(small_config, features):
    run(small_config, "first", "train.max_steps=6")
    stats = features / "stats.json"
    stats.write_text(stats.read_text().replace("120.0", "200.0"))
    with pytest.raises(UserError, match=r"stats\.json is no longer what .*step-0000006 was trained on"):
        run(small_config, "first", resume=True)


def test_other_batches_restart_the_epoch_and_say_so(small_config, capsys):
    run(small_config, "first", "train.max_steps=6")
    run(small_config, "first", "train.batch_size=4", resume=True)
    assert "batch_size 3 -> 4): the epoch starts again" in capsys.readouterr().out


def test_a_start_that_fails_leaves_no_folder(small_config):
    with pytest.raises(UserError, match="max_seq_len"):
        run(small_config, "first", "model.max_seq_len=10")
    assert list_checkpoints(run(small_config, "first") / "checkpoint")[-1][0] == 12


def test_features_of_another_version_are_refused(small_config, features):
    lock = features / "preprocess.lock.json"
    lock.write_text(lock.read_text().replace(f'"features_version": {FEATURES_VERSION}', '"features_version": 0'))
    with pytest.raises(UserError, match="another version of the toolkit: run stage 1 again"):
        run(small_config, "first")


def test_any_text_can_be_trained_on(small_config, features):
    manifest = features / "train.jsonl"
    manifest.write_text(manifest.read_text().replace("hello", "hel\u2028lo\x85"))
    run(small_config, "first", "train.max_steps=3")


def test_training_in_bfloat16(small_config, capsys):
    run(small_config, "first", "train.mixed_precision=bf16")
    printed = capsys.readouterr().out
    assert "precision bf16" in printed
    totals = [float(value) for value in re.findall(r"total ([\d.]+)", printed)]
    assert totals[-1] < totals[0]


def test_tensorboard_shows_losses_pictures_curves_and_sound(small_config):
    exp_dir = run(small_config, "first", "train.num_valid_samples=2")
    events = EventAccumulator(str(exp_dir / "log"), size_guidance={"images": 0, "audio": 0}).Reload()
    tags = events.Tags()
    for name in ("total", "mel", "mel_postnet", "duration", "pitch", "energy"):
        assert [e.step for e in events.Scalars(f"train/{name}")] == [2, 4, 6, 8, 10, 12]
        assert [e.step for e in events.Scalars(f"valid/{name}")] == [6, 12]
    for name in ("learning_rate", "gradient_norm", "mel_frames_per_second", "ms_per_step", "padding"):
        assert f"train/{name}" in tags["scalars"]
    assert {"mel/valid-00", "prosody/valid-00", "mel/valid-01", "prosody/valid-01"} <= set(tags["images"])
    assert {"predicted/valid-00", "recorded/valid-00"} <= set(tags["audio"])


def test_speakers_have_an_embedding_each(small_config, features):
    assert "speaker_embedding.weight" not in final_weights(run(small_config, "one"))
    for name in ("train", "valid"):
        rows = [json.loads(line) for line in (features / f"{name}.jsonl").read_text().splitlines()]
        lines = [json.dumps({**row, "speaker": ("one", "two")[i % 2]}) for i, row in enumerate(rows)]
        (features / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    (features / "speakers.json").write_text('{"one": 0, "two": 1}')
    before = final_weights(run(small_config, "two", "train.max_steps=3"))["speaker_embedding.weight"]
    after = final_weights(run(small_config, "two", resume=True))["speaker_embedding.weight"]
    assert before.shape == (2, 16) and all((before != after).any(dim=1))


def test_the_learning_rate_is_noams(small_config):
    exp_dir = run(small_config, "first", "train.lr_scheduler.num_warmup=8", "train.adam.lr=0.5")
    events = EventAccumulator(str(exp_dir / "log")).Reload()
    for event in events.Scalars("train/learning_rate"):
        assert event.value == pytest.approx(0.5 * min(event.step**-0.5, event.step * 8**-1.5))


def test_the_log_says_how_fast_and_how_long(small_config, capsys):
    run(small_config, "first")
    lines = [line for line in capsys.readouterr().out.splitlines() if "step 10/12" in line]
    assert re.search(r"[\d.]+ ms/step  [\d,]+ mel frames/s  padding [\d.]+ %  .+ left", lines[0])


def test_the_model_learns(small_config):
    exp_dir = run(
        small_config, "first", "train.max_steps=150", "train.valid_every=75", "train.lr_scheduler.num_warmup=30"
    )
    events = EventAccumulator(str(exp_dir / "log")).Reload()
    mel = [e.value for e in events.Scalars("train/mel")]
    assert mel[-1] < 0.5 * mel[0]


def test_a_nan_names_the_utterances_of_its_batch(small_config, features):
    shard = features / "shards/shard-00000.safetensors"
    tensors = load_file(shard)
    tensors["train-04.mel"][1, 2] = float("nan")
    save_file(tensors, shard)
    with pytest.raises(UserError, match="NaN") as caught:
        run(small_config, "first", "train.max_steps=50")
    assert "train-04" in str(caught.value)
    assert 1 <= len(re.findall(r"train-\d\d", str(caught.value))) <= 3  # the batch, not the corpus


def test_features_of_other_settings_are_refused_with_the_field(small_config):
    with pytest.raises(UserError, match=r"preprocess\.hop_size is 128 but the features were made with 256"):
        run(small_config, "first", "preprocess.hop_size=128")


def test_missing_features_say_what_to_run(small_config, features):
    (features / "preprocess.lock.json").unlink()
    with pytest.raises(UserError, match=r"run the stage that makes them first \(--stage 1"):
        run(small_config, "first")


def test_too_little_memory_names_what_to_lower(small_config, monkeypatch):
    original = FastSpeech2Trainer.losses

    def losses(self, *args):
        if self.step == 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return original(self, *args)

    with monkeypatch.context() as patch, pytest.raises(UserError) as raised:
        patch.setattr(FastSpeech2Trainer, "losses", losses)
        run(small_config, "first", "train.data_on_device=true")
    message = str(raised.value)
    assert re.match(r"The GPU's memory is too small for step 5, whose largest batch has \d+ mel frames", message)
    assert "Lower train.batch_size (now 3)" in message and "train.data_on_device to false" in message
    run(small_config, "first", "train.batch_size=2", resume=True)


@pytest.mark.parametrize("name", ["../x", "", ".."])
def test_a_name_that_is_a_path_is_refused(small_config, name):
    with pytest.raises(UserError, match="plain name"):
        run(small_config, name)


def test_an_utterance_longer_than_the_model_takes_is_named(small_config):
    with pytest.raises(UserError, match=r"train-\d\d has \d+ mel frames, more than model\.max_seq_len = 10"):
        run(small_config, "first", "model.max_seq_len=10")


def test_an_experiment_from_before_a_key_existed_can_be_resumed(small_config):
    exp_dir = run(small_config, "first", "train.max_steps=6")
    args = read_json(exp_dir / "args.json")
    del args["preprocess"]["subsets"], args["model"]["postnet"]["dropout"]
    (exp_dir / "args.json").write_text(json.dumps(args))
    assert run(small_config, "first", resume=True) == exp_dir


def test_a_training_that_finds_no_weights_to_start_from_leaves_no_folder(small_config):
    config = load_config(small_config)
    with pytest.raises(UserError, match="--resume_from_ckpt_path .*: not an experiment"):
        train(config, "first", False, None, start_from=small_config.parent)
    assert not (Path(config.log_dir) / "first").exists()


def test_a_training_alone_leaves_the_process_group_of_stage_1(small_config):
    """The first process of stage 1 trains the aligner while the others wait in a process group."""
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        run(small_config, "first", "train.max_steps=1")
        assert torch.distributed.is_initialized()
    finally:
        torch.distributed.destroy_process_group()
