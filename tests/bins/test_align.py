"""Stage 1 and bins/align.py on corpora without TextGrids, as people run them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from text.symbols import is_pause
from utils.jsonl import read_json, read_jsonl
from utils.shards import read_features, shard_path
from utils.textgrid import read_phones

REPO_ROOT = Path(__file__).resolve().parents[2]
COUNT = 6  # utterances: steps of a few hundredths of a second


def command(program: str, folder: Path, corpus: Path, *overrides: str) -> list[str]:
    config = folder / "exp_config.json"
    preprocess = {"processed_dir": str(folder / "data"), "valid_fraction": 0.2, "test_fraction": 0.2}
    values = {
        "base_config": "config/fs2.json",
        "dataset": ["LJSpeech"],
        "dataset_path": {"LJSpeech": str(corpus)},
        "preprocess": preprocess,
    }
    folder.mkdir(exist_ok=True)
    config.write_text(json.dumps(values))
    sets = [argument for override in overrides for argument in ("--set", f"preprocess.{override}")]
    return [sys.executable, str(REPO_ROOT / "bins" / program), "--config", str(config), "--num_workers", "1", *sets]


def run(*arguments: object) -> str:
    result = subprocess.run(command(*arguments), capture_output=True, text=True)  # type: ignore[arg-type]
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def speak(folder: Path, count: int) -> tuple[Path, Path]:
    """The demo's first sentences, spoken by its synthesizer: a corpus without TextGrids, and a folder that has them."""
    program = [sys.executable, str(REPO_ROOT / "egs" / "demo" / "make_corpus.py")]
    subprocess.run([*program, "--out", str(folder / "LJSpeech"), "--count", str(count)], check=True)
    return folder / "LJSpeech", Path(shutil.move(folder / "LJSpeech" / "TextGrid", folder / "exact"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A corpus without TextGrids, and a folder that has them."""
    return speak(tmp_path_factory.mktemp("spoken"), COUNT)


@pytest.fixture(scope="module")
def learned(bare: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which the corpus was aligned and then went through stage 1, and what that printed."""
    folder = tmp_path_factory.mktemp("learned")
    output = run("align.py", folder, bare[0])
    assert f"{COUNT} of {COUNT} utterances aligned" in output
    out = folder / "data" / "LJSpeech"
    assert sorted(path.name for path in out.glob("[!.]*")) == ["TextGrid", "alignment", "alignment.json"]
    output = run("preprocess.py", folder, bare[0])
    assert "learning" not in output  # it takes what bins/align.py has made
    return folder, output


def test_a_corpus_without_textgrids_gets_features(learned: tuple[Path, str]) -> None:
    folder, output = learned
    out = folder / "data" / "LJSpeech"
    assert f"{COUNT} utterances, TextGrids for 0, learned ones for {COUNT}" in output
    rows = [row for name in ("train", "valid", "test") for row in read_jsonl(out / f"{name}.jsonl")]
    assert len(rows) == COUNT
    for row in rows:
        arrays = read_features(shard_path(out / "shards", row["shard"]), [row["utt_id"]])
        durations = arrays[f"{row['utt_id']}.durations"]
        assert durations.sum() == row["num_frames"] == len(arrays[f"{row['utt_id']}.mel"])
        spoken = [frames for phone, frames in zip(row["phones"], durations, strict=True) if phone[0].isalpha()]
        assert min(spoken) >= 1
        # Words and phones of the TextGrid cover the recording, and pauses at its ends are cut off.
        grid = out / "TextGrid" / f"{row['utt_id']}.TextGrid"
        words, phones = (read_phones(grid, tier) for tier in ("words", "phones"))
        assert words[-1].end == phones[-1].end
        assert [i.label.lower() for i in words if i.label] == re.findall(r"[a-z']+", row["text"].lower())
    report = read_json(out / "report.json")["alignment"]
    assert report["aligned"] == COUNT and report["agreement"] is None and len(report["worst"]) == COUNT
    page = (out / "report.md").read_text()
    assert "## Alignment" in page
    for row in report["worst"]:
        assert f"![{row['utt_id']}]({row['picture']})" in page
        assert (out / row["picture"]).read_bytes().startswith(b"\x89PNG")
    assert not (out / "aligner").exists()  # mels and checkpoints are gone


def test_killed_and_started_again_it_ends_with_the_same_bytes(
    bare: tuple[Path, Path], learned: tuple[Path, str], tmp_path: Path
) -> None:
    out = tmp_path / "data" / "LJSpeech"
    process = subprocess.Popen(
        command("preprocess.py", tmp_path, bare[0]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    checkpoint = out / "aligner" / "training" / "checkpoint" / "step-0000100"
    while process.poll() is None and not checkpoint.exists():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert checkpoint.exists() and not (out / "alignment.json").exists()
    assert "Training resumes at step 100" in run("preprocess.py", tmp_path, bare[0])
    assert contents(tmp_path / "data") == contents(learned[0] / "data")


def test_a_second_run_has_nothing_to_do(bare: tuple[Path, Path], learned: tuple[Path, str]) -> None:
    folder = learned[0]
    before = {path: path.stat().st_mtime_ns for path in (folder / "data").rglob("*")}
    output = run("preprocess.py", folder, bare[0])
    assert "nothing to do" in output and "learning" not in output
    assert {path: path.stat().st_mtime_ns for path in (folder / "data").rglob("*")} == before


def test_a_textgrid_that_is_put_into_the_corpus_wins(
    bare: tuple[Path, Path], learned: tuple[Path, str], tmp_path: Path
) -> None:
    root = Path(shutil.copytree(bare[0], tmp_path / "LJSpeech", copy_function=shutil.copy2))
    shutil.copytree(learned[0] / "data", tmp_path / "data", copy_function=shutil.copy2)
    (root / "TextGrid").mkdir()
    shutil.copy(bare[1] / "demo-001.TextGrid", root / "TextGrid")
    output = run("preprocess.py", tmp_path, root)
    assert f"TextGrids for 1, learned ones for {COUNT - 1}" in output and "learning" not in output
    out = tmp_path / "data" / "LJSpeech"
    row = next(r for n in ("train", "valid", "test") for r in read_jsonl(out / f"{n}.jsonl") if "001" in r["utt_id"])
    durations = read_features(shard_path(out / "shards", row["shard"]), ["demo-001"])["demo-001.durations"]
    exact = [i for i in read_phones(bare[1] / "demo-001.TextGrid") if i.label != "sil"]
    expected = np.diff(np.floor(np.array([exact[0].start, *(i.end for i in exact)]) * 22050 / 256 + 0.5))
    assert durations[durations > 0].tolist() == expected.tolist()
    assert read_json(out / "report.json")["alignment"]["agreement"]["utterances"] == 1

    # "learned" passes over it, and what fits too badly is left out with its reason
    run("preprocess.py", tmp_path, root, "alignment=learned", "max_misfit=0.0001")
    skipped = read_json(out / "report.json")["skipped"]["text and audio do not match"]
    assert 0 < len(skipped) < COUNT and skipped[0][1].startswith("misfit")
    assert read_json(out / "report.json")["kept"] == COUNT - len(skipped)


@pytest.mark.parametrize("override", ["alignment=textgrid", "textgrid_dir=absent"])
def test_nothing_is_learned_where_textgrids_were_asked_for(
    bare: tuple[Path, Path], tmp_path: Path, override: str
) -> None:
    result = subprocess.run(command("preprocess.py", tmp_path, bare[0], override), capture_output=True, text=True)
    assert result.returncode == 1 and "has no TextGrids" in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "data" / "LJSpeech" / "TextGrid").exists()


def test_recordings_as_people_have_them(tmp_path: Path) -> None:
    """Silence around the speech, several formats, and one recording in which nobody speaks."""
    count, silence = 12, 2.0
    root, exact = speak(tmp_path, count)
    rng = np.random.default_rng(0)
    for number, path in enumerate(sorted((root / "wavs").iterdir())):
        speech, rate = soundfile.read(path)
        if number == count - 1:
            speech = 0 * speech
        wav = np.concatenate([np.zeros(int(silence * rate)), speech, np.zeros(2 * len(speech))])
        path.unlink()
        suffix = (".wav", ".flac", ".WAV", ".ogg")[number % 4]
        soundfile.write(path.with_suffix(suffix), wav + rng.standard_normal(len(wav)) * 1e-3, rate)
    output = run("align.py", tmp_path, root)
    assert f"{count - 1} of {count} utterances aligned" in output
    assert re.search(r"[78]\d% of 0.0\d hours is silence", output)
    for path in sorted(exact.iterdir())[: count - 1]:
        true, found = (
            [phone for phone in read_phones(textgrid) if phone.label and not is_pause(phone.label)]
            for textgrid in (path, tmp_path / "data" / "LJSpeech" / "TextGrid" / path.name)
        )
        assert found[0].start == pytest.approx(true[0].start + silence, abs=0.2)
        assert found[-1].end == pytest.approx(true[-1].end + silence, abs=0.2)
    output = run("preprocess.py", tmp_path, root)
    assert "skipped: no speech was found" in output
    report = (tmp_path / "data" / "LJSpeech" / "report.md").read_text()
    assert f"demo-{count:03d}: nothing in the recording stands out from its noise" in report
    assert report.count("![demo-") == count  # a picture of a typical one, and one of each


def test_a_corpus_with_the_texts_of_others_is_refused(tmp_path: Path) -> None:
    root, _ = speak(tmp_path, 24)
    lines = (root / "metadata.csv").read_text().splitlines()
    ids, texts = [line.split("|")[0] for line in lines], [line.split("|", 1)[1] for line in lines]
    (root / "metadata.csv").write_text("".join(f"{a}|{b}\n" for a, b in zip(ids, texts[5:] + texts[:5], strict=True)))
    for program in ("preprocess.py", "align.py"):  # the second learns nothing again, and is refused as well
        result = subprocess.run(command(program, tmp_path, root), capture_output=True, text=True)
        assert result.returncode == 1 and "Traceback" not in result.stderr
        assert re.search(r"\d of 24 utterances could not be aligned", result.stderr)
        assert (
            "correct metadata.csv" in result.stderr
            and str(tmp_path / "data" / "LJSpeech" / "alignment") in result.stderr
        )
        assert "demo-" in result.stderr  # some are named, with their texts
    assert "learning" not in result.stdout
    assert not (tmp_path / "data" / "LJSpeech" / "preprocess.lock.json").exists()


def test_why_no_recording_can_be_aligned_is_said(tmp_path: Path) -> None:
    root, _ = speak(tmp_path, 3)
    shutil.rmtree(root / "wavs")
    result = subprocess.run(command("align.py", tmp_path, root), capture_output=True, text=True)
    assert result.returncode == 1
    assert "none of the 3 recordings can be aligned: audio is missing (3, such as demo-001" in result.stderr
