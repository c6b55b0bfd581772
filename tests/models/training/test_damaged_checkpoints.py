"""Stage 2: checkpoints that are damaged, hostile, or from an earlier version."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch

from tests.models.training.test_training import final_weights, run, same
from utils.checkpoint import list_checkpoints
from utils.errors import UserError


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.safetensors", lambda path: path.write_bytes(path.read_bytes()[:500])),
        ("optimizer.bin", lambda path: path.write_bytes(b"")),
        ("position.json", Path.unlink),
        ("position.json", lambda path: path.write_text("{}")),
        ("position.json", lambda path: path.write_text(path.read_text().replace('"step": 6', '"step": "6"'))),
        ("random_states_0.pkl", Path.unlink),
        ("random_states_0.pkl", lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])),
        ("random_states_0.pkl", lambda path: path.write_bytes(b"")),
        ("random_states_0.pkl", lambda path: torch.save({}, path)),
    ],
)
def test_a_damaged_checkpoint_is_named_with_the_mend(small_config, name, damage):
    exp_dir = run(small_config, "first", "train.max_steps=6")
    newest = list_checkpoints(exp_dir / "checkpoint")[-1][1]
    damage(newest / name)
    with pytest.raises(
        UserError, match=r"step-0000006 .*Delete this folder: --resume then continues from the one before"
    ):
        run(small_config, "first", resume=True)
    shutil.rmtree(newest)
    assert list_checkpoints(run(small_config, "first", resume=True) / "checkpoint")[-1][0] == 12


class Payload:
    """Opens a file when it is unpickled."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


@pytest.mark.parametrize("form", [pickle.dump, lambda payload, file: torch.save(payload, file)])
def test_no_file_of_a_checkpoint_can_run_code(small_config, tmp_path, form):
    canary = tmp_path / "canary"
    exp_dir = run(small_config, "first", "train.max_steps=6")
    newest = list_checkpoints(exp_dir / "checkpoint")[-1][1]
    whole = tmp_path / "whole"
    shutil.copytree(newest, whole)
    more = (
        "custom_checkpoint_0.pkl",
        "custom_checkpoint_1.pkl",
        "scheduler.bin",
        "sampler.bin",
        "scaler.pt",
        "dl_state_dict.bin",
    )
    for name in (*(path.name for path in whole.iterdir()), *more):
        shutil.rmtree(newest)
        shutil.copytree(whole, newest)
        with (newest / name).open("wb") as file:
            form(Payload(canary), file)
        if name == "custom_checkpoint_0.pkl":  # as in a checkpoint of an earlier version
            (newest / "position.json").unlink()
        try:
            run(small_config, "first", "train.max_steps=7", resume=True)
        except UserError as error:
            assert newest.name in str(error)
        else:
            assert name in more  # not one of the files that are read
            shutil.rmtree(exp_dir / "checkpoint/step-0000007")
        assert not canary.exists(), name


def test_a_checkpoint_of_an_earlier_version_resumes(small_config):
    exp_dir = run(small_config, "first")
    run(small_config, "old", "train.max_steps=6")
    newest = list_checkpoints(exp_dir.parent / "old/checkpoint")[-1][1]
    torch.save(json.loads((newest / "position.json").read_text()), newest / "custom_checkpoint_0.pkl")
    (newest / "position.json").unlink()
    assert same(final_weights(run(small_config, "old", resume=True)), final_weights(exp_dir))
