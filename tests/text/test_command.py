"""The command that shows what a text becomes."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*arguments: str, stdin: str = "", cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "bins" / "text.py"), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=cwd)


def test_a_line(tmp_path: Path) -> None:
    done = run("Dr. Zorgblat read it 😀", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["normalized", "Doctor", "Zorgblat", "read", "it"] in lines
    assert ["Zorgblat", *"Z AO1 R B G L AE2 T".split(), "network"] in lines
    assert ["read", "R", "EH1", "D", "homograph"] in lines
    assert "tokens      D AA1 K T ER0 Z AO1 R" in done.stdout and "warning     dropped" in done.stdout


def test_a_file_with_a_bad_line_and_a_lexicon(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("Hello.\n\n...\nZorgblat {R QQ}\nBye.\n", encoding="utf-8")
    (tmp_path / "words.txt").write_text("hello HH OW1\n", encoding="utf-8")
    done = run("--file", str(tmp_path / "texts.txt"), "--lexicon", str(tmp_path / "words.txt"))
    assert done.returncode == 2
    assert "HH OW1" in done.stdout and "lexicon" in done.stdout and "B AY1 ." in done.stdout
    errors = done.stderr.splitlines()
    assert len(errors) == 2 and "texts.txt:3: nothing to pronounce" in errors[0] and "texts.txt:4:" in errors[1]


def test_errors_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("hello HH QQ\n", encoding="utf-8")
    for arguments in (["--lexicon", str(tmp_path / "words.txt"), "hi"], ["--file", str(tmp_path / "none")], ["..."]):
        done = run(*arguments)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and done.stderr.startswith("error: ")


def test_standard_input() -> None:
    assert "B AY1 ." in run("--file", "-", stdin="Hi\nBye.\n").stdout


def test_a_reader_that_has_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, str(ROOT / "bins/text.py"), "Bye."]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")
