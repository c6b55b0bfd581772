"""Every command in the READMEs runs, word for word and in order, in a copy of the repository with a small corpus."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
SEED, VOCODER = "egs/tts/FastSpeech2", "egs/vocoder/hifigan"
READMES = ("README.md", f"{SEED}/README.md", f"{VOCODER}/README.md")
PAGES = (
    *READMES,
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "benchmarks/README.md",
    "egs/voice/README.md",
    "egs/vocoder/sourcefilter/README.md",
)
# A model that trains in seconds: what the commands do is the same.
SMALL_MODEL = {
    "transformer": {
        "encoder_layer": 1,
        "decoder_layer": 1,
        "encoder_hidden": 32,
        "decoder_hidden": 32,
        "conv_filter_size": 32,
    },
    "variance_predictor": {"filter_size": 32},
    "postnet": {"hidden": 32, "layers": 2},
}
SMALL_VOCODER = {
    "upsample_initial_channel": 16,
    "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 2]],
    "discriminator": {"periods": [2], "period_channels": [4] * 5, "num_scales": 1, "scale_channels": [16] * 7},
}
SMALL_TRAIN = {"max_steps": 6, "log_every": 2, "valid_every": 6, "save_every": 3, "num_valid_samples": 1}


def commands(readme):
    """The commands of a README's sh blocks and of its numbered steps; continued lines are one."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)) + "\n".join(re.findall(r"`(sh egs/[^`]*)`", text))
    return [line for line in blocks.replace("\\\n", " ").splitlines() if line.strip()]


@pytest.fixture(scope="module")
def copy(tmp_path_factory, tiny_corpus):
    """The repository as a user has it after writing the corpus's folder into exp_config.json."""
    root = tmp_path_factory.mktemp("readme") / "lyre"
    tracked = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in tracked.stdout.splitlines():
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)
    (root / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (root / ".venv" / name).symlink_to(Path(sys.prefix) / name)
    (root / ".venv/.lyre-installed").touch()  # what `make setup` leaves when everything is installed
    (root / "corpus").symlink_to(tiny_corpus(12))
    for recipe in (SEED, VOCODER):
        config = root / recipe / "exp_config.json"
        text = config.read_text(encoding="utf-8")
        assert "[LJSpeech dataset path]" in text
        config.write_text(text.replace("[LJSpeech dataset path]", str(root / "corpus")), encoding="utf-8")
    for name in ("config/fs2.json", "egs/demo/fastspeech2.json"):
        text = (root / name).read_text(encoding="utf-8")
        text = re.sub(r'"(model|train)": \{.*\n    \},', "", text, flags=re.DOTALL)  # the demo's own sizes
        small = f'"model": {json.dumps(SMALL_MODEL)}, "train": {json.dumps(SMALL_TRAIN)},\n}}'
        (root / name).write_text(text.rstrip().removesuffix("}") + small, encoding="utf-8")
    small = {"model_type": "HiFiGAN", "model": SMALL_VOCODER, "train": SMALL_TRAIN | {"num_valid_clips": 1}}
    (root / "config/hifigan_v1.json").write_text(json.dumps(small), encoding="utf-8")
    publish_vocoder(root / "ckpts/vocoder/hifigan_ljspeech")
    return root


def publish_vocoder(folder):
    """A HiFi-GAN with random weights, laid out as Amphion publishes it."""
    from models.vocoder.hifigan.generator import HiFiGANGenerator

    shape = {
        "resblock": "2",
        "upsample_rates": [8, 8, 4],
        "upsample_kernel_sizes": [16, 16, 8],
        "upsample_initial_channel": 16,
        "resblock_kernel_sizes": [3],
        "resblock_dilation_sizes": [[1, 2]],
    }
    mel = {"sample_rate": 22050, "n_fft": 1024, "win_size": 1024, "hop_size": 256, "n_mel": 80, "fmin": 0, "fmax": 8000}
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "args.json").write_text(json.dumps({"preprocess": mel, "model": {"hifigan": shape}}))
    generator = HiFiGANGenerator(80, **shape)
    weights = {f"module.{name}": tensor for name, tensor in generator.state_dict().items()}
    torch.save({"generator_state_dict": weights}, folder / "checkpoints/step-0000001_loss-1.0000.pt")
    (folder / "checkpoints/checkpoint").write_text("step-0000001_loss-1.0000.pt")


def run(command, cwd):
    done = subprocess.run(command, shell=True, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout


def serves(command, cwd):
    """Whether a server starts; it is stopped again."""
    server = subprocess.Popen([*shlex.split(command), "--port", "0"], cwd=cwd, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            line = server.stderr.readline()
            if "http://" in line:
                return True
            if not line and server.poll() is not None:
                return False
        return False
    finally:
        server.kill()
        server.wait()


def test_the_seed_recipe(copy):
    made = commands(f"{SEED}/README.md")
    assert sum("run.sh --stage" in command for command in made) >= 6
    for command in made:
        if "tensorboard" in command:
            assert serves(command, copy)
        else:
            run(command, copy)
    experiment = copy / "ckpts/tts/my-voice"
    assert sorted(os.listdir(experiment / "checkpoint")) == ["step-0000003", "step-0000006"]
    assert list((experiment / "result").glob("*.wav"))


def test_the_vocoders_recipe(copy):
    if not (copy / "ckpts/tts/my-voice").exists():
        for command in commands(f"{SEED}/README.md"):
            if "--stage 1" in command or ("--stage 2" in command and "--resume" not in command):
                run(command, copy)
    made = commands(f"{VOCODER}/README.md")
    assert sum("run.sh --stage" in command for command in made) >= 7
    for command in made:
        if "tensorboard" in command:
            assert serves(command, copy)
        else:
            run(command.replace("/corpora/LJSpeech-1.1", "corpus"), copy)
    vocoders = copy / "ckpts/vocoder"
    for name in ("my-vocoder", "my-vocoder-for-my-voice"):
        assert sorted(os.listdir(vocoders / name / "checkpoint")) == ["step-0000003", "step-0000006"]
    exported = set(os.listdir(vocoders / "my-vocoder-exported"))
    assert {"config.json", "g_00000006"} <= exported
    recorded = {path.stem for path in (copy / "corpus/wavs").iterdir()}
    assert recorded <= {path.stem for path in (vocoders / "my-vocoder/result").rglob("*.wav")}


def test_the_main_readme(copy):
    made = commands("README.md")
    assert {"make demo", "make test"} <= set(made)
    for command in made:
        if command == "make test":  # this very run
            assert "-m pytest" in run("make -n test", copy)
        elif "--stage 2" in command and (copy / "ckpts/tts/my-voice").exists():  # the recipe's README made it
            run(f"{command} --resume", copy)
        elif command == "make demo":
            printed = run(command, copy)
            assert "tensorboard --logdir" in printed
            named = re.findall(r"^    (\S+\.(?:wav|png))$", printed, re.MULTILINE)
            assert sorted(Path(name).suffix for name in named) == [".png", *[".wav"] * 4]
            assert all((copy / name).stat().st_size > 1000 for name in named)
        else:
            run(command, copy)


def test_every_file_that_a_readme_names_is_there():
    for readme in PAGES:
        text = (ROOT / readme).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!http)([^)#]+)", text):
            assert ((ROOT / readme).parent / target).exists(), f"{readme}: {target}"
