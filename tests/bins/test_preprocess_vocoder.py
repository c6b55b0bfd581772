"""bins/preprocess.py for a vocoder, as people run it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

REPO_ROOT = Path(__file__).resolve().parents[2]


def write_config(folder: Path, recordings: Path | str, out: str = "data") -> Path:
    path = folder / f"{out}.json"
    values = {
        "base_config": "config/hifigan_v1.json",
        "dataset": ["mine"],
        "dataset_path": {"mine": str(recordings)},
        "preprocess": {"processed_dir": str(folder / out)},
    }
    path.write_text(json.dumps(values))
    return path


def command(config: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(REPO_ROOT / "bins" / "preprocess.py"), "--config", str(config), *arguments]


def run(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(config, *arguments), capture_output=True, text=True, cwd=config.parent)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """130 clips of 3 s at 48,000 Hz (8 shards, a while of resampling), and one that is no audio."""
    root = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, 48000 * 4)
    for number in range(130):
        start = int(rng.integers(0, 48000))
        path = root / f"speaker{number % 3}" / f"{number:03}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, noise[start : start + 48000 * 3], 48000, subtype="PCM_16")
    (root / "broken.wav").write_bytes(b"this is no audio file")
    return root


def test_killed_and_started_again_it_ends_with_the_same_bytes(recordings: Path, tmp_path: Path) -> None:
    whole = run(write_config(tmp_path, recordings, "whole"), "--num_workers", "2")
    assert whole.returncode == 0, whole.stderr
    assert "mine: 130 utterances kept, 0.11 hours; 1 skipped" in whole.stdout
    assert "skipped: audio cannot be decoded" in whole.stdout and "e.g. broken" in whole.stdout

    config = write_config(tmp_path, recordings, "killed")
    shards = tmp_path / "killed" / "mine" / "shards"
    process = subprocess.Popen(command(config, "--num_workers", "1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while process.poll() is None and not list(shards.glob("*.safetensors")):
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert 0 < len(list(shards.glob("*.safetensors"))) < 8
    assert not (tmp_path / "killed" / "mine" / "preprocess.lock.json").exists()
    again = run(config, "--num_workers", "2")
    assert again.returncode == 0 and "mine: 131 recordings\n0 are up to date" not in again.stdout
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert "nothing to do" in run(config).stdout


def fails(config: Path, code: int) -> str:
    result = run(config)
    assert result.returncode == code and "Traceback" not in result.stderr
    return result.stderr


def test_errors_name_key_and_file(tmp_path: Path) -> None:
    message = fails(write_config(tmp_path, "[LJSpeech dataset path]"), 2)
    assert "data.json: dataset_path.mine" in message and "holds its recordings" in message
    assert "dataset_path.mine" in fails(write_config(tmp_path, tmp_path / "absent"), 1)
    assert "no recording was found" in fails(write_config(tmp_path, tmp_path), 1)


def test_a_vocoder_needs_no_alignment(tmp_path: Path) -> None:
    config = write_config(tmp_path, tmp_path)
    align = [sys.executable, str(REPO_ROOT / "bins" / "align.py"), "--config", str(config)]
    result = subprocess.run(align, capture_output=True, text=True)
    assert result.returncode == 2 and "HiFiGAN needs no alignment" in result.stderr
