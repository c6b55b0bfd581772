"""The seed recipe's command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.egs.conftest import Recipe

RECIPE = "egs/tts/FastSpeech2/run.sh"
SPEAK = ("--stage", "3", "--infer_expt_dir", "ckpts/tts/x", "--infer_mode", "single")


def test_stages_call_their_programs(recipe: Recipe) -> None:
    config = "--config=egs/tts/FastSpeech2/exp_config.json"
    assert recipe.run("--stage", "1", "--num_workers=3").returncode == 0
    assert [c["args"] for c in recipe.calls] == [["bins/preprocess.py", config, "--num_workers=3"]]
    assert recipe.run("-s", "2", "-n", "x", "--resume", "--set", "train.batch_size=8").returncode == 0
    assert [c["args"] for c in recipe.calls] == [
        ["bins/train.py", config, "--exp_name=x", "--set=train.batch_size=8", "--resume"]
    ]
    assert recipe.run(*SPEAK, "--infer_text", "Hello.", "--vocoder_dir", "v", "--pitch_control=1.2").returncode == 0
    (call,) = recipe.calls
    assert call["args"][:2] == ["bins/inference.py", config]
    assert set(call["args"][2:]) == {
        "--infer_expt_dir=ckpts/tts/x",
        "--infer_mode=single",
        "--infer_text=Hello.",
        "--vocoder_dir=v",
        "--pitch_control=1.2",
    }


@pytest.mark.parametrize(
    "value",
    [
        "two words",
        "  spaces  around  ",
        'it\'s "quoted"',
        "$HOME `id` $(id) \\n \\",
        "one\ntwo\n\nafter two newlines\n",
        "-one dash",
        "--two dashes",
        "--",
        "* ? [a-z] ~ {a,b} !",
        "a=b=c",
        "a|b;c&d>e<f#g%s%d",
        "naïve Größe 東京",
        "\ttab",
    ],
)
def test_values_pass_unharmed(recipe: Recipe, value: str) -> None:
    for flags in (["--infer_text", value, "--set", value], [f"--infer_text={value}", f"--set={value}"]):
        run = recipe.run(*SPEAK, "--set=first=1", *flags, "--set", "last=1")
        assert run.returncode == 0, run.stderr
        (call,) = recipe.calls
        assert f"--infer_text={value}" in call["args"]
        sets = [word for word in call["args"] if word.startswith("--set=")]
        assert sets == ["--set=first=1", f"--set={value}", "--set=last=1"]


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ((), "--stage is missing"),
        (("--stage",), "--stage needs a value"),
        (("--stage", "1", "--nmae", "x"), "unknown flag --nmae; did you mean --name?"),
        (("--stage=1", "--infer-text=x"), "unknown flag --infer-text; did you mean --infer_text?"),
        (("--stage=1", "--speaker", "x"), "unknown flag --speaker; did you mean --infer_speaker_name?"),
        (("--stage=1", "--xxxxxxxxxx", "x"), "unknown flag --xxxxxxxxxx; see --help"),
        (("--stage=1", "--one\ntwo"), "unknown flag --one two"),
        (("--stage=1", "-x"), "unknown flag -x"),
        (("--stage=1", "--"), "unknown flag --"),
        (("--stage=1", "--stage name"), "unknown flag --stage name"),
        (("--stage=1", "--.*"), "unknown flag --.*"),
        (("--stage", "1", "2"), "unexpected argument '2'"),
        (("--stage=1", ""), "unexpected argument ''"),
        (("--stage=2", "--name", "--gpu", "0"), "--name needs a value, not the flag --gpu"),
        (("--stage=2", "--name", "--gpu=0"), "--name needs a value, not the flag --gpu"),
        (("--stage=2", "--name=x", "--resume=yes"), "--resume takes no value"),
        (("--stage", "4"), "--stage is one of 1 2 3, not '4'"),
        (("--stage", "1 2"), "--stage is one of 1 2 3, not '1 2'"),
        (("--stage=1", "--stop_stage=9"), "--stop_stage is one of 1 2 3, not '9'"),
        (("--stage=2", "--stop_stage=1"), "--stop_stage 1 comes before --stage 2"),
        (("--stage=2",), "stage 2 needs --name"),
        (("--stage=2", "--name="), "stage 2 needs --name"),
        (("--stage=1", "--stop_stage=2"), "stage 2 needs --name"),
        (("--stage=2", "--name=x", "--resume_from_ckpt_path=none"), "there is no folder none"),
        (("--stage=3",), "stage 3 needs --infer_expt_dir"),
        (("--stage=3", "--infer_expt_dir=x"), "stage 3 needs --infer_mode"),
        (("--stage=3", "--infer_expt_dir=x", "--infer_mode=both"), "--infer_mode is single or batch, not 'both'"),
        (SPEAK, "needs --infer_text or --infer_file"),
        ((*SPEAK, "--infer_text=x", "--infer_file=y"), "exclude each other"),
        ((*SPEAK, "--infer_text= "), "--infer_text: the text is empty"),
        ((*SPEAK, "--infer_text=x", "--pitch_control=0"), "--pitch_control: '0' is no factor"),
        (("--stage=1", "--num_workers=x"), "--num_workers is a whole number, not 'x'"),
        (("--stage=1", "--num_workers=0"), "--num_workers: must be at least 1, got 0"),
        (("--stage=1", "--infer_testing_set=all"), "--infer_testing_set is one of test golden_test valid train, not"),
        (("--stage=3", "--infer_expt_dir=x", "--infer_mode=batch"), "needs --infer_dataset"),
        (
            ("--stage=3", "--infer_expt_dir=x", "--infer_mode=batch", "--infer_dataset=L"),
            "needs --infer_testing_set",
        ),
    ],
)
def test_a_wrong_flag_is_named_in_one_line(recipe: Recipe, flags: tuple[str, ...], complaint: str) -> None:
    run = recipe.run(*flags)
    assert (run.returncode, recipe.calls, run.stdout) == (2, [], "")
    assert complaint in run.stderr
    assert run.stderr.count("\n") == 1


def test_batch_takes_a_file_instead_of_a_data_set(recipe: Recipe) -> None:
    batch = ("--stage=3", "--infer_expt_dir=x", "--infer_mode=batch")
    assert recipe.run(*batch, "--infer_file=lines.txt").returncode == 0
    assert "--infer_file=lines.txt" in recipe.calls[0]["args"]
    assert recipe.run(*batch, "--infer_dataset=LJSpeech", "--infer_testing_set=test").returncode == 0


def test_help_lists_every_flag_with_its_default_and_starts_no_program(recipe: Recipe) -> None:
    run = recipe.run("--help")
    assert (run.returncode, run.stderr, recipe.calls) == (0, "", [])
    general = "stage stop_stage name config gpu set num_workers resume resume_from_ckpt_path vocoder_dir help"
    speech = "expt_dir output_dir mode dataset testing_set text file speaker_name"
    controls = "pitch energy duration"
    flags = general.split() + [f"infer_{f}" for f in speech.split()] + [f"{f}_control" for f in controls.split()]
    lines = run.stdout.partition("Flags")[2].splitlines()
    for flag in flags:
        (at,) = [i for i, line in enumerate(lines) if f"--{flag} " in line and line.startswith("  -")]
        assert "(default: " in lines[at + 1] and "(default: )" not in lines[at + 1]
    assert recipe.run("-h").stdout == run.stdout
    assert all(f"-{letter}, --" in run.stdout for letter in "snch")


def test_stages_in_sequence_stop_at_the_first_failure(recipe: Recipe) -> None:
    all_stages = ("--stage=1", "--stop_stage=3", "--name=x", "--infer_expt_dir=ckpts/tts/x", "--infer_mode=single")
    run = recipe.run(*all_stages, "--infer_text=x", "--set=a.b=1")
    assert run.returncode == 0
    assert [c["args"][0] for c in recipe.calls] == ["bins/preprocess.py", "bins/train.py", "bins/inference.py"]
    assert all("--set=a.b=1" in c["args"] for c in recipe.calls)
    run = recipe.run(*all_stages, "--infer_text=x", FAIL='{"bins/train.py": 7}')
    assert run.returncode == 7
    assert [c["args"][0] for c in recipe.calls] == ["bins/preprocess.py", "bins/train.py"]
    assert "Stage 2 failed" in run.stderr and "Next" not in run.stdout


@pytest.mark.parametrize(
    ("flags", "program"),
    [
        (("--stage=1",), "bins/preprocess.py"),
        (("--stage=2", "--name=x"), "bins/train.py"),
        (("--stage=2", "--name=x"), "config.load"),
        ((*SPEAK, "--infer_text=x"), "bins/inference.py"),
    ],
)
def test_a_failed_stage_gives_its_status(recipe: Recipe, flags: tuple[str, ...], program: str) -> None:
    run = recipe.run(*flags, FAIL=json.dumps({program: 3}))
    assert run.returncode == 3
    assert "Next" not in run.stdout


# A program that says when it runs, needs a moment to end after Ctrl-C or kill, and ends with the signal's number + 50.
SLOW = """
if sys.argv[1] == "bins/preprocess.py":
    import signal, time
    def end(number, frame):
        time.sleep(0.3)
        os.write(1, b"ended\\n")
        os._exit(50 + number)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    os.write(1, b"runs\\n")
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("number", "strike"),
    [(signal.SIGINT, os.killpg), (signal.SIGTERM, os.killpg), (signal.SIGTERM, os.kill)],
    ids=["Ctrl-C", "kill of all", "kill"],
)
def test_a_stage_that_is_stopped_ends_in_its_own_way(recipe: Recipe, number: int, strike: Callable) -> None:
    run = recipe.start("--stage=1", "--stop_stage=2", "--name=x", ACT=SLOW)
    while run.stdout.readline() != "runs\n":
        assert run.poll() is None
    strike(run.pid, number)
    output, errors = run.communicate()
    assert (run.returncode, output.splitlines()) == (50 + number, ["ended"]), errors
    assert errors == "Stage 1 failed: the stages after it were not started.\n"


def test_a_killed_program_gives_the_status_that_a_shell_gives(recipe: Recipe) -> None:
    suicide = 'if sys.argv[1] == "bins/preprocess.py": os.kill(os.getpid(), 9)'
    assert recipe.run("--stage=1", ACT=suicide).returncode == 128 + 9


def test_each_stage_prints_the_command_that_comes_next(recipe: Recipe) -> None:
    run = recipe.run("--stage=1", "--name", "it's mine", "--set=a.b=[1, 2]", "-c", "c.json")
    assert run.returncode == 0
    command = run.stdout.strip().splitlines()[-1].strip()
    again = subprocess.run(["sh", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True)
    assert again.stdout.splitlines() == [
        *("sh", RECIPE, "--stage", "2", "--name", "it's mine", "--set=a.b=[1, 2]", "--config", "c.json")
    ]
    run = recipe.run("--stage=2", "--name=x")
    assert "    sh egs/tts/FastSpeech2/run.sh --stage 3 --infer_expt_dir ckpts/tts/x --infer_output_dir" in run.stdout
    elsewhere = recipe.run("--stage=2", "--name=x", cwd=recipe.root.parent)  # a relative path would start there
    assert f"--infer_expt_dir '{recipe.root}/ckpts/tts/x' --infer_output_dir" in elsewhere.stdout


def test_without_a_gpu_it_says_so_once_and_runs_on_the_cpu(recipe: Recipe) -> None:
    run = recipe.run("--stage=2", "--name=x", "--gpu=0,1")
    assert run.returncode == 0
    assert run.stdout.count("No NVIDIA GPU found: running on the CPU.") == 1
    (call,) = recipe.calls
    assert call["args"][0] == "bins/train.py" and call["env"] == {"CUDA_VISIBLE_DEVICES": ""}


def test_one_gpu_needs_no_launcher(recipe: Recipe) -> None:
    recipe.gpus("NVIDIA H100 80GB HBM3", "NVIDIA H100 80GB HBM3")
    for flags, env, visible in (((), {}, "0"), (("--gpu", "1"), {}, "1"), ((), {"CUDA_VISIBLE_DEVICES": "1"}, "1")):
        assert recipe.run("--stage=2", "--name=x", *flags, **env).returncode == 0
        (call,) = recipe.calls
        assert call["args"][0] == "bins/train.py" and call["env"] == {"CUDA_VISIBLE_DEVICES": visible}


def test_several_gpus_get_a_process_each(recipe: Recipe) -> None:
    recipe.gpus(*["NVIDIA H100 80GB HBM3"] * 3)
    assert recipe.run("--stage=2", "--name=x", "--gpu", "0, 2", "--set=a.b=c").returncode == 0
    (call,) = recipe.calls
    args = call["args"]
    assert args[:2] == ["-m", "accelerate.commands.launch"]
    assert args[args.index("--num_processes") + 1] == "2" and "--multi_gpu" in args
    assert args[args.index("bins/train.py") :] == [
        *("bins/train.py", "--config=egs/tts/FastSpeech2/exp_config.json", "--exp_name=x", "--set=a.b=c")
    ]
    assert call["env"] == {"CUDA_VISIBLE_DEVICES": "0,2"}
    assert recipe.run(*SPEAK, "--infer_text=x", "--gpu=0,2").returncode == 0
    assert recipe.calls[0]["args"][0] == "bins/inference.py"  # speaking takes one process


@pytest.mark.parametrize("gpus", ["2", "0,5", "zero", "0,,1", "0;1"])
def test_a_gpu_that_is_not_there_is_named(recipe: Recipe, gpus: str) -> None:
    recipe.gpus("NVIDIA H100 80GB HBM3", "NVIDIA H100 80GB HBM3")
    run = recipe.run("--stage=2", "--name=x", "--gpu", gpus)
    assert (run.returncode, recipe.calls) == (2, [])
    assert "--gpu" in run.stderr and run.stderr.count("\n") == 1


@pytest.mark.parametrize("card", ["NVIDIA GeForce RTX 3090", "NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 4070 Ti"])
def test_cards_without_peer_transfers(recipe: Recipe, card: str) -> None:
    recipe.gpus(card)
    recipe.run("--stage=2", "--name=x")
    assert recipe.calls[0]["env"] == {"CUDA_VISIBLE_DEVICES": "0", "NCCL_P2P_DISABLE": "1", "NCCL_IB_DISABLE": "1"}
    recipe.run("--stage=2", "--name=x", NCCL_P2P_DISABLE="0")
    assert recipe.calls[0]["env"]["NCCL_P2P_DISABLE"] == "0"  # the user's own setting stays


def test_paths_start_where_the_user_stands(recipe: Recipe, tmp_path: Path) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    run = recipe.run("--stage=1", "-c", "my.json", "--set=log_dir=logs", cwd=elsewhere)
    assert run.returncode == 0
    (call,) = recipe.calls
    assert call["cwd"] == str(recipe.root)
    assert call["args"] == ["bins/preprocess.py", f"--config={elsewhere}/my.json", "--set=log_dir=logs"]
    recipe.run("--stage=1", cwd=elsewhere)
    assert recipe.calls[0]["args"][1] == "--config=egs/tts/FastSpeech2/exp_config.json"
    recipe.run("--stage=1", "-c", "/abs.json", cwd=elsewhere)
    assert recipe.calls[0]["args"][1] == "--config=/abs.json"


def test_the_interpreter(recipe: Recipe) -> None:
    run = recipe.run("--stage=1", PYTHON="no-such-python")
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    assert "no-such-python" in run.stderr and "make setup" in run.stderr
    own = recipe.root / ".venv/bin/python"
    own.parent.mkdir(parents=True)
    own.symlink_to(recipe.python)
    assert recipe.run("--stage=1", PYTHON="no-such-python").returncode == 0
