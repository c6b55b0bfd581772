"""bins/preprocess.py as people run it: bad corpora, kills, and errors before any work."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

REPO_ROOT = Path(__file__).resolve().parents[2]
RATE = 22050


def write_config(folder: Path, corpus: Path | str, out: str = "data") -> Path:
    path = folder / f"{out}.json"
    path.write_text(
        json.dumps(
            {
                "base_config": "config/fs2.json",
                "dataset": ["LJSpeech"],
                "dataset_path": {"LJSpeech": str(corpus)},
                "preprocess": {"processed_dir": str(folder / out), "valid_fraction": 0.1, "test_fraction": 0.1},
            }
        )
    )
    return path


def command(config: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(REPO_ROOT / "bins" / "preprocess.py"), "--config", str(config), *arguments]


def run(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # An interpreter from another folder, without PYTHONPATH: the program finds the repository by itself.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command(config, *arguments), capture_output=True, text=True, cwd=config.parent, env=environment
    )


# utterance id (or place) -> reason in the report
BAD = {
    "missing": "audio is missing",
    "truncated": "audio is truncated",
    "empty": "audio is empty",
    "silent": "audio is silent",
    "nan": "audio has samples that are not numbers",
    "garbage": "audio cannot be decoded",
    "long": "longer than max_seconds",
    "short": "audio is too short",
    "noise": "no pitch was found",
    "no-words": "text has nothing to pronounce",
    "no-text": "text is empty",
    "no-grid": "TextGrid is missing",
    "bad-grid": "TextGrid is broken",
    "off-grid": "TextGrid and audio differ in length",
    "symbols": "TextGrid has unknown symbols",
    "crowded": "more phones than frames",
    "good": "id occurs twice",
    "lonely": "metadata line has missing or extra columns",
    "line 20": "id is not usable as a file name",
}
MENDED = {
    "stereo": "mixed down from 2 channels",
    "rate": "resampled from 16000 Hz",
    "clipped": "audio is clipped (kept as it is)",
    "odd-text": "the text could not be read in full",
}


@pytest.fixture(scope="module")
def bad_run(
    tmp_path_factory: pytest.TempPathFactory,
    write_utterance: Callable[..., None],
    write_textgrid: Callable[..., None],
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """One run over a corpus in which everything is wrong that can be."""
    folder = tmp_path_factory.mktemp("bad")
    root = folder / "corpus"
    ids = ["good", *(utt_id for utt_id in BAD if utt_id not in ("good", "lonely", "line 20")), *MENDED, "quotes"]
    for index, utt_id in enumerate(ids):
        write_utterance(root, utt_id, "green birds sing", seed=index)
    wavs, grids = root / "wavs", root / "TextGrid"
    tone, _ = soundfile.read(wavs / "good.wav")

    def put(utt_id: str, samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> None:
        soundfile.write(wavs / f"{utt_id}.wav", samples, rate, subtype=subtype)
        phones = [("", 0.1)] + [(phone, (len(samples) / rate - 0.2) / 3) for phone in ("B", "ER1", "D")] + [("", 0.1)]
        write_textgrid(grids / f"{utt_id}.TextGrid", phones)

    (wavs / "missing.wav").unlink()
    (wavs / "truncated.wav").write_bytes((wavs / "truncated.wav").read_bytes()[:-5000])
    (wavs / "empty.wav").write_bytes(b"")
    (wavs / "garbage.wav").write_bytes(b"this is no audio file")
    put("silent", np.zeros(RATE))
    put("nan", np.where(np.arange(len(tone)) == 77, np.nan, tone), subtype="FLOAT")
    put("long", np.tile(tone, 1 + 21 * RATE // len(tone)))
    soundfile.write(wavs / "short.wav", tone[5000:5900], RATE)
    put("noise", np.random.default_rng(0).normal(0, 0.05, RATE))
    put("stereo", np.stack([tone, tone * 0.5], axis=1))
    put("rate", tone, rate=16000)
    put("clipped", np.clip(tone * 20, -1, 1))
    (grids / "no-grid.TextGrid").unlink()
    (grids / "bad-grid.TextGrid").write_text("xmin = 0")
    write_textgrid(grids / "off-grid.TextGrid", [("B", 0.1), ("ER1", len(tone) / RATE)])
    length = soundfile.info(wavs / "symbols.wav").duration
    write_textgrid(grids / "symbols.TextGrid", [("B", length / 2), ("œ", length / 2)])
    length = soundfile.info(wavs / "crowded.wav").duration
    write_textgrid(grids / "crowded.TextGrid", [("B", 0.001)] * 50 + [("", length - 0.05)])

    lines = [f"{utt_id}|Green birds sing." for utt_id in ids]
    lines[ids.index("no-words")] = "no-words|...!?"
    lines[ids.index("no-text")] = "no-text|"
    lines[ids.index("quotes")] = 'quotes|"Green" birds sing.|"Green" birds sing.'
    lines[ids.index("odd-text")] = "odd-text|Green birds sing. \u26c4"
    lines[19:19] = ["../../outside|Green birds sing."]  # line 20
    lines += ["good|Green birds sing.", "lonely", ""]
    (root / "metadata.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    arguments = ("--num_workers", "2", "--set", "preprocess.alignment=textgrid")
    return run(write_config(folder, root), *arguments), folder / "data" / "LJSpeech"


def test_the_run_goes_on(bad_run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    result, out = bad_run
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr + result.stdout
    rows = [
        json.loads(line)
        for name in ("train", "valid", "test")
        for line in (out / f"{name}.jsonl").open(encoding="utf-8")
    ]
    assert {row["utt_id"] for row in rows} == {"good", "quotes", *MENDED}
    assert {row["text"] for row in rows} == {"Green birds sing.", '"Green" birds sing.', "Green birds sing. \u26c4"}


@pytest.mark.parametrize("utt_id", BAD)
def test_each_bad_input_is_skipped_with_its_reason(
    bad_run: tuple[subprocess.CompletedProcess[str], Path], utt_id: str
) -> None:
    result, out = bad_run
    skipped = json.loads((out / "report.json").read_text(encoding="utf-8"))["skipped"]
    assert [reason for reason, entries in skipped.items() if utt_id in [entry[0] for entry in entries]] == [BAD[utt_id]]
    assert f"skipped: {BAD[utt_id]}" in result.stdout
    assert f"### {BAD[utt_id]}: 1\n\n- {utt_id}" in (out / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("utt_id", MENDED)
def test_each_mended_input_is_named(bad_run: tuple[subprocess.CompletedProcess[str], Path], utt_id: str) -> None:
    result, out = bad_run
    mended = json.loads((out / "report.json").read_text(encoding="utf-8"))["mended"]
    assert utt_id in [entry[0] for entry in mended[MENDED[utt_id]]]
    assert f"kept, but {MENDED[utt_id]}" in result.stdout


def test_the_closing_table(bad_run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    result, out = bad_run
    lines = result.stdout.splitlines()
    assert any(line.startswith("LJSpeech: 6 utterances kept, 0.00 hours; 19 skipped") for line in lines)
    assert lines[-1].split() == ["report", str(out / "report.md")]
    assert "features: " in result.stderr and "\r" not in result.stderr


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def grandchildren(pid: int) -> list[int]:
    """Worker processes of a running stage 1: its fork server's children."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # gone meanwhile
    return [child for child, parent in parents.items() if parents.get(parent) == pid]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the workers in /proc")
def test_killed_and_started_again_it_ends_with_the_same_bytes(tiny_corpus: Callable[..., Path], tmp_path: Path) -> None:
    corpus = tiny_corpus(130, words=1)  # 8 shards
    whole = run(write_config(tmp_path, corpus, "whole"), "--num_workers", "2")
    assert whole.returncode == 0, whole.stderr

    config = write_config(tmp_path, corpus, "killed")
    shards = tmp_path / "killed" / "LJSpeech" / "shards"

    def interrupt(strike: Callable[[int], object]) -> tuple[int, str]:
        """Starts stage 1 and strikes as soon as there is one more shard than before."""
        before = len(list(shards.glob("*.safetensors")))
        process = subprocess.Popen(
            command(config, "--num_workers", "1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # A shell that started the tests in the background has them ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        while process.poll() is None and len(list(shards.glob("*.safetensors"))) <= before:
            time.sleep(0.002)
        strike(process.pid)
        _, errors = process.communicate()
        assert not (tmp_path / "killed" / "LJSpeech" / "preprocess.lock.json").exists()
        assert before < len(list(shards.glob("*.safetensors"))) < 8, errors
        return process.returncode, errors

    code, errors = interrupt(lambda pid: [os.kill(child, signal.SIGKILL) for child in grandchildren(pid)])
    assert code == 1 and "a worker process died" in errors and "Traceback" not in errors
    code, errors = interrupt(lambda pid: os.killpg(pid, signal.SIGINT))  # as a terminal's Ctrl-C
    assert code == 130 and errors.splitlines()[-1].startswith("Interrupted") and "Traceback" not in errors
    code, _ = interrupt(lambda pid: os.kill(pid, signal.SIGKILL))
    assert code == -signal.SIGKILL

    assert run(config, "--num_workers", "2").returncode == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def fails(config: Path, *arguments: str, code: int) -> str:
    """Runs what must fail; returns its message, which is all that it prints."""
    result = run(config, *arguments)
    assert result.returncode == code and "Traceback" not in result.stderr
    return result.stderr


def test_the_placeholder_names_key_and_file(tmp_path: Path) -> None:
    config = write_config(tmp_path, "[LJSpeech dataset path]")
    message = fails(config, code=2)
    assert "data.json: dataset_path.LJSpeech" in message and "[LJSpeech dataset path]" in message


def test_a_typo_and_a_bad_flag_exit_2(tmp_path: Path) -> None:
    config = write_config(tmp_path, tmp_path)
    assert "did you mean 'hop_size'" in fails(config, "--set", "preprocess.hop_sise=256", code=2)
    assert "--num_workers: must be at least 1" in fails(config, "--num_workers", "0", code=2)
    assert "--nonsense" in fails(config, "--nonsense", code=2)


def test_a_folder_without_a_corpus_exits_1(tmp_path: Path) -> None:
    assert "metadata.csv" in fails(write_config(tmp_path, tmp_path), code=1)


def test_nothing_to_do_and_help_need_no_torch(tiny_corpus: Callable[..., Path], tmp_path: Path) -> None:
    program = (
        "import sys, runpy\n"
        "sys.argv = ['preprocess.py', *sys.argv[1:]]\n"
        "try:\n    runpy.run_path({!r}, run_name='__main__')\n"
        "finally:\n    print('heavy:', [m for m in ('torch', 'librosa', 'pyworld', 'scipy') if m in sys.modules])\n"
    ).format(str(REPO_ROOT / "bins" / "preprocess.py"))
    config = write_config(tmp_path, tmp_path / "absent")
    for arguments in (["--help"], ["--config", str(config)]):
        result = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
        assert "heavy: []" in result.stdout, result.stderr


def test_files_of_the_user_are_never_changed(tiny_corpus: Callable[..., Path], tmp_path: Path) -> None:
    """The folder of the features is the corpus, contains it, contains its TextGrids, or has other files."""
    corpus = tiny_corpus(count=3)
    shutil.copytree(corpus, tmp_path / "data/inside/deeper")
    shutil.copytree(corpus, tmp_path / "data/same")
    (tmp_path / "data/LJSpeech/notes").mkdir(parents=True)
    (tmp_path / "data/LJSpeech/notes/mine.txt").write_text("mine")
    before = contents(tmp_path / "data")
    data = tmp_path / "data"
    for name, folder in (("LJSpeech", corpus), ("same", data / "same"), ("inside", data / "inside/deeper")):
        config = write_config(tmp_path, folder)
        message = fails(config, "--set", f'dataset=["{name}"]', "--set", f"dataset_path.{name}={folder}", code=2)
        assert f"data/{name}: stage 1" in message and "preprocess.processed_dir" in message
    after = contents(tmp_path / "data")
    assert {path: data for path, data in after.items() if not path.endswith(".lock")} == before


def test_the_folder_of_learned_textgrids_is_no_source(tiny_corpus: Callable[..., Path], tmp_path: Path) -> None:
    corpus = tiny_corpus(count=3)
    config = write_config(tmp_path, corpus)
    assert run(config).returncode == 0
    textgrids = tmp_path / "data/LJSpeech/TextGrid"
    shutil.copytree(corpus / "TextGrid", textgrids)
    before = contents(textgrids)
    given = ("--set", f"preprocess.textgrid_dir={textgrids}")
    message = fails(config, *given, "--set", 'preprocess.alignment="learned"', code=2)
    assert str(textgrids) in message and "preprocess.processed_dir" in message
    assert contents(textgrids) == before
    assert run(config, *given).returncode == 0  # only read
