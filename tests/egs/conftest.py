"""A recipe to run: by sh, in a repository of its own, with a stand-in for Python.

The stand-in runs bins/recipe with the standard library alone, and records every other program that it is to start.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[2]
RECIPE = "egs/tts/FastSpeech2/run.sh"

FAKE_PYTHON = f"""#!{sys.executable} -IS
import json, os, runpy, sys
if sys.argv[1].endswith("/bins/recipe/run.py"):
    sys.executable = os.path.abspath(sys.argv.pop(0))
    runpy.run_path(sys.argv[0], run_name="__main__")
    sys.exit()
exec(os.environ.get("ACT", ""))
names = ("CUDA_VISIBLE_DEVICES", "NCCL_P2P_DISABLE", "NCCL_IB_DISABLE")
call = {{"args": sys.argv[1:], "cwd": os.getcwd(), "env": {{n: os.environ[n] for n in names if n in os.environ}}}}
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(call) + "\\n")
sys.exit(int(json.loads(os.environ.get("FAIL", "{{}}")).get(sys.argv[2 if sys.argv[1] == "-m" else 1], 0)))
"""

FAKE_CONFIG = """
import json, os, types
class ConfigError(Exception):
    exit_code = int(json.loads(os.environ.get("FAIL", "{}")).get("config.load", 0))
def load_config(path, overrides):
    if ConfigError.exit_code:
        raise ConfigError("wrong")
    return types.SimpleNamespace(log_dir="ckpts/tts", dataset=("LJSpeech",))
"""


class Recipe:
    """A copy of the recipe in a repository of its own, and what its last run did."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a repository"  # the space is part of the test
        for part in ("_shared", "tts/FastSpeech2", "vocoder/hifigan", "vocoder/sourcefilter"):
            shutil.copytree(REPO / "egs" / part, self.root / "egs" / part)
        shutil.copytree(REPO / "bins/recipe", self.root / "bins/recipe")
        for name in ("bins/__init__.py", "utils/__init__.py", "utils/errors.py", "utils/program.py"):
            self._write(self.root / name, (REPO / name).read_text(encoding="utf-8"))
        self._write(self.root / "config/load.py", FAKE_CONFIG)
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

    def run(self, *flags: str, **how: Any) -> subprocess.CompletedProcess[str]:
        """Runs a recipe to its end; see start."""
        process = self.start(*flags, **how)
        output, errors = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def start(self, *flags: str, cwd: Path | None = None, script: str = RECIPE, **env: str) -> subprocess.Popen[str]:
        """Starts a recipe in a process group of its own, from the repository's root or, by its whole path, from cwd."""
        self._calls.write_text("")
        unset = ("CUDA_VISIBLE_DEVICES", "NCCL_P2P_DISABLE", "NCCL_IB_DISABLE")
        clean = {name: value for name, value in os.environ.items() if name not in unset}
        path = f"{self.bin}:{clean['PATH']}"
        script = script if cwd is None else str(self.root / script)
        return subprocess.Popen(
            ["sh", script, *flags],
            cwd=cwd or self.root,
            env={**clean, "PATH": path, "PYTHON": str(self.python), "CALLS": str(self._calls), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def calls(self) -> list[dict]:
        """Every program that the last run started."""
        return [json.loads(line) for line in self._calls.read_text().splitlines()]


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return Recipe(tmp_path)
