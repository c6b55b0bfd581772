"""A recipe to run: by sh, in a repository of its own, with a stand-in for Python that records what it was given."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
RECIPE = "egs/tts/FastSpeech2/run.sh"

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
        for part in ("_shared", "tts/FastSpeech2", "vocoder/hifigan", "vocoder/sourcefilter"):
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
