"""Ctrl-C while a program still imports: there is no `utils.program.run` around it yet."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted(path.name for path in (ROOT / "bins").glob("[!_]*.py"))

# Python imports this by itself when it starts. The first import from the repository is what answers Ctrl-C, so that
# it is pressed at the second.
SITECUSTOMIZE = """
import sys

class CtrlC:
    def find_spec(self, name, path=None, target=None):
        package = name.partition(".")[0]
        if package in ("bins", "config", "text", "utils") and name not in ("utils", "utils.program"):
            raise KeyboardInterrupt

sys.meta_path.insert(0, CtrlC())
"""


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_import_that_is_interrupted_ends_in_one_line(tmp_path: Path, program: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(SITECUSTOMIZE)
    done = subprocess.run(
        [sys.executable, ROOT / "bins" / program, "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nInterrupted before it began.\n")


def test_another_error_of_an_import_keeps_its_traceback(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SITECUSTOMIZE.replace("KeyboardInterrupt", "ZeroDivisionError"))
    done = subprocess.run(
        [sys.executable, ROOT / "bins/train.py"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback") and done.stderr.endswith("ZeroDivisionError\n")
