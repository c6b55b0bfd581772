"""The vocoder recipe's command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.egs.conftest import Recipe

VOCODER = "egs/vocoder/hifigan/run.sh"
LISTEN = ("--stage=3", "--infer_expt_dir=x", "--infer_mode=batch", "--infer_dataset=L", "--infer_testing_set=test")


@pytest.fixture
def vocoder(recipe: Recipe) -> Recipe:
    """The repository with two folders that the vocoder's flags can name."""
    for name in ("published", "ckpts/tts/voice"):
        (recipe.root / name).mkdir(parents=True)
    return recipe


def programs(recipe: Recipe, folder: str = "egs/vocoder/hifigan") -> list[list[str]]:
    """What the last run of the vocoder's recipe started, with which flags, but for --config."""
    config = f"--config={folder}/exp_config.json"
    assert all(call["args"][1] == config for call in recipe.calls)
    return [[call["args"][0], *call["args"][2:]] for call in recipe.calls]


@pytest.mark.parametrize("place", ["egs/vocoder/hifigan", "egs/vocoder/sourcefilter"])
def test_the_vocoders_stages_call_their_programs(vocoder: Recipe, place: str) -> None:
    def run(*flags: str) -> list[list[str]]:
        done = vocoder.run(*flags, script=f"{place}/run.sh")
        assert done.returncode == 0, done.stderr
        return programs(vocoder, place)

    train = ["bins/train.py", "--exp_name=x"]
    published = "--resume_from_ckpt_path=published"
    assert run("--stage=1", "--num_workers=3") == [["bins/preprocess.py", "--num_workers=3"]]
    assert run("-s", "2", "-n", "x", "--resume", "--set=a.b=1") == [[*train, "--set=a.b=1", "--resume"]]
    assert run("-s", "2", "-n", "x", published) == [[*train, published]]
    assert run("-s", "2", "-n", "x", published, "--resume_type=finetune") == [
        [*train, published, "--resume_type=finetune"]
    ]
    batch = ["--infer_expt_dir=x", "--infer_mode=batch", "--infer_dataset=L", "--infer_testing_set=test"]
    assert run(*LISTEN) == [["bins/vocode.py", *batch]]
    folder = ["--infer_expt_dir=x", "--infer_output_dir=y", "--infer_mode=folder", "--infer_dir=published"]
    assert run("--stage=3", *folder) == [["bins/vocode.py", *folder]]
    acoustic = "--acoustic_dir=ckpts/tts/voice"
    forced = ["bins/teacher_forced.py", acoustic, "--set=a.b=1"]
    assert run("--stage=finetune", "--name=x", acoustic, published, "--set=a.b=1") == [
        forced,
        [*train, "--set=a.b=1", published, "--resume_type=finetune", acoustic],
    ]
    assert run("--stage=finetune", "--name=x", acoustic, "--resume", "--set=a.b=1") == [
        forced,
        [*train, "--set=a.b=1", "--resume", acoustic],
    ]
    features = "--acoustic_data_dir=published"
    assert run("--stage=finetune", "--name=x", acoustic, features, "--resume")[0] == [*forced[:2], features]


def test_all_stages_of_the_vocoder_are_three(vocoder: Recipe) -> None:
    run = vocoder.run("--stage=1", "--stop_stage=3", "--name=x", *LISTEN[1:], script=VOCODER)
    assert run.returncode == 0, run.stderr
    assert [call[0] for call in programs(vocoder)] == ["bins/preprocess.py", "bins/train.py", "bins/vocode.py"]


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--stage=4",), "--stage is one of 1 2 3 finetune, not '4'"),
        (("--stage=1", "--stop_stage=finetune"), "stage finetune runs alone"),
        (("--stage=finetune", "--stop_stage=3"), "--stop_stage 3 comes before --stage finetune"),
        (("--stage=1", "--acoustic-dir=x"), "unknown flag --acoustic-dir; did you mean --acoustic_dir?"),
        (("--stage=2",), "stage 2 needs --name"),
        (("--stage=2", "--name=x", "--resume_from_ckpt_path=none"), "--resume_from_ckpt_path: there is no folder none"),
        (("--stage=2", "--name=x", "--resume_type=fine"), "--resume_type is resume or finetune, not 'fine'"),
        (("--stage=2", "--name=x", "--resume_type=finetune"), "--resume_type finetune needs --resume_from_ckpt_path"),
        (("--stage=3",), "stage 3 needs --infer_expt_dir"),
        (("--stage=3", "--infer_expt_dir=x"), "stage 3 needs --infer_mode"),
        (("--stage=3", "--infer_expt_dir=x", "--infer_mode=single"), "--infer_mode is folder or batch, not 'single'"),
        (("--stage=3", "--infer_expt_dir=x", "--infer_mode=folder"), "--infer_mode folder needs --infer_dir"),
        (LISTEN[:3], "--infer_mode batch needs --infer_dataset"),
        (LISTEN[:4], "--infer_mode batch needs --infer_testing_set"),
        (("--stage=finetune",), "stage finetune needs --name"),
        (("--stage=finetune", "--name=x"), "stage finetune needs --acoustic_dir"),
        (("--stage=finetune", "--name=x", "--acoustic_dir=none"), "--acoustic_dir: there is no folder none"),
        (("--stage=finetune", "--name=x", "--acoustic_dir=published"), "finetune needs --resume_from_ckpt_path"),
    ],
)
def test_a_wrong_flag_of_the_vocoders_is_named_in_one_line(
    vocoder: Recipe, flags: tuple[str, ...], complaint: str
) -> None:
    run = vocoder.run(*flags, script=VOCODER)
    assert (run.returncode, vocoder.calls, run.stdout) == (2, [], "")
    assert complaint in run.stderr
    assert run.stderr.count("\n") == 1


def test_the_vocoders_recipe_says_what_comes_next(vocoder: Recipe) -> None:
    finetune = ("--stage=finetune", "--acoustic_dir=published", "--resume_from_ckpt_path=published")
    listen = "--stage 3 --infer_expt_dir ckpts/tts/x --infer_output_dir ckpts/tts/x/result --infer_mode batch"
    for flags, words in (
        (("--stage=1",), "--stage 2 --name my-vocoder"),
        (("--stage=2", "--name=x"), f"{listen} --infer_dataset LJSpeech --infer_testing_set golden_test"),
    ):
        run = vocoder.run(*flags, script=VOCODER)
        assert run.returncode == 0 and run.stdout.endswith(f"    sh {VOCODER} {words}\n")
    run = vocoder.run(*finetune, "--name=x", script=VOCODER)
    assert run.stdout.endswith("\nThe voice of published now speaks through it: --vocoder_dir ckpts/tts/x\n")


@pytest.mark.parametrize("program", ["bins/teacher_forced.py", "bins/train.py", "config.load"])
def test_a_failed_part_of_the_fine_tuning_gives_its_status(vocoder: Recipe, program: str) -> None:
    flags = ("--stage=finetune", "--name=x", "--acoustic_dir=published", "--resume_from_ckpt_path=published")
    run = vocoder.run(*flags, script=VOCODER, FAIL=json.dumps({program: 3}))
    assert run.returncode == 3 and "Next" not in run.stdout
    assert ("bins/train.py" in str(vocoder.calls)) == (program == "bins/train.py")


def test_the_fine_tuning_trains_on_every_gpu(vocoder: Recipe) -> None:
    vocoder.gpus(*["NVIDIA H100 80GB HBM3"] * 2)
    flags = ("--stage=finetune", "--name=x", "--acoustic_dir=published", "--resume_from_ckpt_path=published")
    assert vocoder.run(*flags, "--gpu=0,1", script=VOCODER).returncode == 0
    forced, train = vocoder.calls
    assert forced["args"][0] == "bins/teacher_forced.py" and train["args"][1] == "accelerate.commands.launch"
    assert "bins/train.py" in train["args"] and forced["env"] == train["env"] == {"CUDA_VISIBLE_DEVICES": "0,1"}
