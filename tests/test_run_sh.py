"""The recipes' command line, run by sh with a stand-in for Python that records what it was given."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
RECIPE = "egs/tts/FastSpeech2/run.sh"
VOCODER = "egs/vocoder/hifigan/run.sh"
SPEAK = ("--stage", "3", "--infer_expt_dir", "ckpts/tts/x", "--infer_mode", "single")

FAKE_PYTHON = f"""#!{sys.executable} -IS
import json, os, sys
exec(os.environ.get("ACT", ""))
names = ("CUDA_VISIBLE_DEVICES", "NCCL_P2P_DISABLE", "NCCL_IB_DISABLE")
call = {{"args": sys.argv[1:], "cwd": os.getcwd(), "env": {{n: os.environ[n] for n in names if n in os.environ}}}}
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(call) + "\\n")
if "config.load" in sys.argv:
    print({{"--get=log_dir": "ckpts/tts", "--get=dataset": "LJSpeech"}}[sys.argv[4]])
sys.exit(int(json.loads(os.environ.get("FAIL", "{{}}")).get(sys.argv[2 if sys.argv[1] == "-m" else 1], 0)))
"""


class Recipe:
    """A copy of the recipe in a repository of its own, and what its last run did."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a repository"  # the space is part of the test
        for part in ("_shared", "tts/FastSpeech2", "vocoder/hifigan"):
            shutil.copytree(REPO / "egs" / part, self.root / "egs" / part)
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.python = self.bin / "fake-python"
        self._write(self.python, FAKE_PYTHON)
        self._calls = folder / "calls"
        self.gpus()

    def _write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def gpus(self, *names: str) -> None:
        """Puts an nvidia-smi on PATH that knows these cards; with none, one that fails as without a driver."""
        listing = "\n".join(names)
        self._write(
            self.bin / "nvidia-smi", f"#!/bin/sh\ncat <<'X'\n{listing}\nX\n" if names else "#!/bin/sh\nexit 9\n"
        )

    def run(
        self, *flags: str, cwd: Path | None = None, script: str = RECIPE, **env: str
    ) -> subprocess.CompletedProcess[str]:
        self._calls.write_text("")
        unset = ("CUDA_VISIBLE_DEVICES", "NCCL_P2P_DISABLE", "NCCL_IB_DISABLE")
        clean = {name: value for name, value in os.environ.items() if name not in unset}
        path = f"{self.bin}:{clean['PATH']}"
        script = script if cwd is None else str(self.root / script)
        return subprocess.run(
            ["sh", script, *flags],
            cwd=cwd or self.root,
            env={**clean, "PATH": path, "PYTHON": str(self.python), "CALLS": str(self._calls), **env},
            capture_output=True,
            text=True,
        )

    @property
    def calls(self) -> list[dict]:
        """Every start of Python in the last run, but the look at the configuration."""
        calls = [json.loads(line) for line in self._calls.read_text().splitlines()]
        return [call for call in calls if call["args"][:2] != ["-m", "config.load"]]


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return Recipe(tmp_path)


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
        "--energy_control=1.0",
        "--duration_control=1.0",
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


def test_help_lists_every_flag_with_its_default_and_starts_no_python(recipe: Recipe) -> None:
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


# What the demo's programs would leave behind.
ACT = """
from pathlib import Path
program, flags = sys.argv[1], dict(word.partition("=")[::2] for word in sys.argv[2:])
def leave(path, text=""):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
if program.endswith("make_corpus.py"):
    leave("egs/demo/corpus/corpus.json", os.environ.get("CORPUS", "first"))
elif program == "bins/preprocess.py":
    rows = [{"utt_id": f"demo-{n}", "speaker": "demo", "text": f"Text {n}.", "phones": ["T"]} for n in range(5)]
    leave("data/demo/train.jsonl", "".join(json.dumps(row) + "\\n" for row in rows))
elif program == "bins/train.py" and "--resume" not in flags:
    leave("ckpts/tts/demo/weights", os.environ.get("CORPUS", "first"))
elif program == "bins/inference.py":
    leave(flags["--infer_output_dir"] + "/x.wav")
    leave(flags["--infer_output_dir"] + "/x.png")
"""


@pytest.fixture
def demo(recipe: Recipe) -> Recipe:
    """The recipe with the demo beside it."""
    shutil.copytree(REPO / "egs/demo", recipe.root / "egs/demo", ignore=shutil.ignore_patterns("corpus*"))
    shutil.copytree(REPO / "config", recipe.root / "config", ignore=shutil.ignore_patterns("*.py*"))
    (recipe.root / "egs/demo/fastspeech2.json").write_text("{}")
    return recipe


def test_the_demo_goes_all_the_way_and_says_where_things_are(demo: Recipe) -> None:
    run = demo.run("--num_workers=1", script="egs/demo/run.sh", ACT=ACT)
    assert run.returncode == 0, run.stderr
    programs = [call["args"][0].rpartition("/")[2] for call in demo.calls]
    assert programs == ["make_corpus.py", "preprocess.py", "train.py", "inference.py", "inference.py"]
    assert "--num_workers=1" in demo.calls[1]["args"] and "--resume" not in demo.calls[2]["args"]
    assert "--infer_mode=single" in demo.calls[3]["args"] and "--infer_mode=batch" in demo.calls[4]["args"]
    texts = (demo.root / "ckpts/tts/demo/training_sentences.txt").read_text()
    assert texts == "demo-0|Text 0.\ndemo-1|Text 1.\ndemo-2|Text 2.\n"
    told = run.stdout.partition("=== Done")[2]
    for path in ("spoken/x.wav", "spoken/x.png", "spoken/training/x.wav", "log"):
        assert f"ckpts/tts/demo/{path}" in told


def test_the_demo_again_goes_on_and_destroys_nothing(demo: Recipe) -> None:
    demo.run(script="egs/demo/run.sh", ACT=ACT)
    assert demo.run(script="egs/demo/run.sh", ACT=ACT).returncode == 0
    assert "--resume" in demo.calls[2]["args"]
    run = demo.run(script="egs/demo/run.sh", ACT=ACT, CORPUS="second")
    assert run.returncode == 0 and "--resume" not in demo.calls[2]["args"]
    (aside,) = demo.root.glob("ckpts/tts/demo-until-*")
    assert str(aside.relative_to(demo.root)) in run.stdout
    assert (aside / "weights").read_text() == "first"
    assert (demo.root / "ckpts/tts/demo/weights").read_text() == "second"


def test_an_experiment_that_happens_to_be_called_demo_is_kept(demo: Recipe) -> None:
    mine = demo.root / "ckpts/tts/demo/mine"
    mine.parent.mkdir(parents=True)
    mine.write_text("precious")
    assert demo.run(script="egs/demo/run.sh", ACT=ACT).returncode == 0
    (aside,) = demo.root.glob("ckpts/tts/demo-until-*")
    assert (aside / "mine").read_text() == "precious"


@pytest.mark.parametrize("program", ["bins/preprocess.py", "bins/train.py", "bins/inference.py"])
def test_the_demo_fails_where_a_stage_fails(demo: Recipe, program: str) -> None:
    run = demo.run(script="egs/demo/run.sh", ACT=ACT, FAIL=json.dumps({program: 4}))
    assert run.returncode == 4
    assert demo.calls[-1]["args"][0] == program and "Done" not in run.stdout


LISTEN = ("--stage=3", "--infer_expt_dir=x", "--infer_mode=batch", "--infer_dataset=L", "--infer_testing_set=test")


@pytest.fixture
def vocoder(recipe: Recipe) -> Recipe:
    """The repository with two folders that the vocoder's flags can name."""
    for name in ("published", "ckpts/tts/voice"):
        (recipe.root / name).mkdir(parents=True)
    return recipe


def programs(recipe: Recipe) -> list[list[str]]:
    """What the last run of the vocoder's recipe started, with which flags, but for --config."""
    config = "--config=egs/vocoder/hifigan/exp_config.json"
    assert all(call["args"][1] == config for call in recipe.calls)
    return [[call["args"][0], *call["args"][2:]] for call in recipe.calls]


def test_the_vocoders_stages_call_their_programs(vocoder: Recipe) -> None:
    def run(*flags: str) -> list[list[str]]:
        done = vocoder.run(*flags, script=VOCODER)
        assert done.returncode == 0, done.stderr
        return programs(vocoder)

    train = ["bins/train.py", "--exp_name=x"]
    published = "--resume_from_ckpt_path=published"
    assert run("--stage=1", "--num_workers=3") == [["bins/preprocess.py", "--num_workers=3"]]
    assert run("-s", "2", "-n", "x", "--resume", "--set=a.b=1") == [[*train, "--set=a.b=1", "--resume"]]
    assert run("-s", "2", "-n", "x", published) == [[*train, published, "--resume_type=resume"]]
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
        (("--stage=3", "--infer_expt_dir=x", "--infer_mode=folder"), "stage 3, folder, needs --infer_dir"),
        (LISTEN[:3], "stage 3, batch, needs --infer_dataset"),
        (LISTEN[:4], "stage 3, batch, needs --infer_testing_set"),
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
