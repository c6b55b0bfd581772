"""The voice in the repository speaks."""

import subprocess
from pathlib import Path

import numpy as np
import soundfile

from processors.pitch import extract_pitch

ROOT = Path(__file__).resolve().parents[2]


def say(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", ROOT / "egs/say.sh", *words], cwd=folder, capture_output=True, text=True)


def test_a_sentence_is_spoken_where_the_user_stands(tmp_path: Path) -> None:
    run = say(tmp_path, "The old lighthouse keeper walked down to the harbor every morning.")
    assert run.returncode == 0, run.stderr
    (path,) = (tmp_path / "said").glob("*.wav")
    assert str(path) in run.stdout
    wav, rate = soundfile.read(path, dtype="float32")
    assert rate == 22050 and 2.5 < len(wav) / rate < 6
    pitch = extract_pitch("dio", wav, rate, 256, 71, 800)
    voiced = pitch[pitch > 0]
    assert 0.3 < len(voiced) / len(pitch) < 0.95  # speech, neither a hum nor a hiss
    assert 120 < np.median(voiced) < 320 and voiced.std() > 15  # a woman's voice, with a melody


def test_without_a_text_it_says_how_to_call_it(tmp_path: Path) -> None:
    run = say(tmp_path)
    assert run.returncode == 2 and 'sh egs/say.sh "' in run.stderr
    assert not (tmp_path / "said").exists()
