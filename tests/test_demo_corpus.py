"""The demo's corpus: what is spoken, and whether the TextGrids say when."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from text.frontend import Frontend
from text.symbols import CONSONANTS, VOWELS, is_phone

DEMO = Path(__file__).resolve().parents[1] / "egs" / "demo"
SENTENCES = (DEMO / "sentences.txt").read_text(encoding="utf-8").splitlines()
COUNT = 3


def make(out: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DEMO / "make_corpus.py"), "--out", str(out), *flags]
    return subprocess.run(command, cwd=out.parent, capture_output=True, text=True)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus of the first three sentences."""
    out = tmp_path_factory.mktemp("demo") / "corpus"
    run = make(out, "--count", str(COUNT))
    assert run.returncode == 0, run.stderr
    return out


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def intervals(grid: str, tier: str) -> list[tuple[float, float, str]]:
    """The intervals of one tier of a TextGrid, read without the project's own reader."""
    body = grid.split(f'name = "{tier}"')[1].split("item [")[0]
    found = re.findall(r'xmin = ([\d.]+)\s+xmax = ([\d.]+)\s+text = "(.*)"', body)
    return [(float(start), float(end), label) for start, end, label in found]


def test_the_sentences_are_many_varied_and_short() -> None:
    assert 90 <= len(SENTENCES) <= 110 and len(set(SENTENCES)) == len(SENTENCES)
    assert all(re.fullmatch(r"[A-Z][A-Za-z ,]*[.?!]", sentence) for sentence in SENTENCES)
    assert all(5 <= len(sentence.split()) <= 15 for sentence in SENTENCES)
    assert sum(sentence.endswith("?") for sentence in SENTENCES) >= 10
    frontend = Frontend()
    heard = [phone for sentence in SENTENCES for phone in frontend.pronounce(sentence).phones if is_phone(phone)]
    bare = [phone.rstrip("012") for phone in heard]
    assert {phone: bare.count(phone) for phone in (*VOWELS, *CONSONANTS) if bare.count(phone) < 5} == {}


def test_the_layout_is_ljspeechs(corpus: Path) -> None:
    rows = [row.split("|") for row in (corpus / "metadata.csv").read_text(encoding="utf-8").splitlines()]
    assert [row[1:] for row in rows] == [[sentence, sentence] for sentence in SENTENCES[:COUNT]]
    for utt_id, _, _ in rows:
        info = soundfile.info(corpus / "wavs" / f"{utt_id}.wav")
        assert (info.samplerate, info.channels, info.subtype) == (22050, 1, "PCM_16")
        assert 1.5 < info.duration < 6
    assert len(list((corpus / "wavs").iterdir())) == len(list((corpus / "TextGrid").iterdir())) == COUNT


def test_the_textgrids_hold_what_the_front_end_says_and_end_with_the_sound(corpus: Path) -> None:
    frontend = Frontend()
    for number, sentence in enumerate(SENTENCES[:COUNT], start=1):
        grid = (corpus / "TextGrid" / f"demo-{number:03d}.TextGrid").read_text(encoding="utf-8")
        phones, words = intervals(grid, "phones"), intervals(grid, "words")
        spoken = [label for _, _, label in phones if label not in ("sil", "sp")]
        assert spoken == [phone for phone in frontend.pronounce(sentence).phones if is_phone(phone)]
        assert [label for _, _, label in words if label] == re.findall("[a-z]+", sentence.lower())
        samples = soundfile.info(corpus / "wavs" / f"demo-{number:03d}.wav").frames
        for tier in (phones, words):
            assert tier[0][0] == 0 and tier[-1][1] == pytest.approx(samples / 22050, abs=1e-3)
            assert all(start < end for start, end, _ in tier)
            assert [end for _, end, _ in tier[:-1]] == [start for start, _, _ in tier[1:]]


def test_the_ends_marked_silent_are_silent(corpus: Path) -> None:
    for grid in sorted((corpus / "TextGrid").iterdir()):
        audio, rate = soundfile.read(corpus / "wavs" / f"{grid.stem}.wav")
        phones = intervals(grid.read_text(encoding="utf-8"), "phones")
        (_, first, before), (last, _, after) = phones[0], phones[-1]
        assert before == after == "sil"
        speech = audio[round(first * rate) : round(last * rate)]
        level = np.sqrt(np.mean(speech**2))
        assert np.abs(audio[: round((first - 0.05) * rate)]).max() < level / 5
        assert np.abs(audio[round((last + 0.05) * rate) :]).max() < level / 5
        assert np.sqrt(np.mean(speech[-round(0.25 * rate) :] ** 2)) > level / 10  # nothing but the silence is cut off


def test_the_same_again_and_nothing_when_it_is_there(corpus: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in corpus.rglob("*")}
    run = make(corpus, "--count", str(COUNT))
    assert run.returncode == 0 and "is there" in run.stdout
    assert {path: path.stat().st_mtime_ns for path in corpus.rglob("*")} == before
    stale = tmp_path / "corpus"
    (stale / "wavs").mkdir(parents=True)
    (stale / "wavs" / "demo-009.wav").write_text("of another list of sentences")
    (stale / "corpus.json").write_text("{}")
    assert make(stale, "--count", str(COUNT)).returncode == 0
    assert digests(stale) == digests(corpus)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "corpus" / "mine.wav"
    mine.parent.mkdir()
    mine.write_text("precious")
    run = make(mine.parent, "--count", "1")
    assert run.returncode == 1 and "no demo corpus" in run.stderr
    assert [path.name for path in mine.parent.iterdir()] == ["mine.wav"] and mine.read_text() == "precious"
