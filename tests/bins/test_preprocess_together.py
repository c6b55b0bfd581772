"""Stage 1 over several processes: the same bytes as one makes, and an error instead of a wait where one dies."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

REPO_ROOT = Path(__file__).resolve().parents[2]


WAIT = """
def patched(self):  # so that the other one has its share, however slowly it starts
    while self.leads and self._store.add(self._key("next", 0), 0) < 1:
        time.sleep(0.01)
    yield from claims(self)
"""
DIE = """
def patched(self):
    next(claims(self))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def start(
    folder: Path, corpus: Path, rank: int, port: int, size: int = 2, how: str = WAIT, silent: float = 60.0
) -> subprocess.Popen[str]:
    """One process of a team, as torchrun starts it; one that is silent for so many seconds is given up."""
    folder.mkdir(exist_ok=True)
    config = folder / "exp_config.json"
    preprocess = {"processed_dir": str(folder / "data"), "valid_fraction": 0.1, "test_fraction": 0.1}
    values = {"dataset": ["LJSpeech"], "dataset_path": {"LJSpeech": str(corpus)}, "preprocess": preprocess}
    config.write_text(json.dumps({"base_config": "config/fs2.json", **values}))
    program = (
        "import os, runpy, signal, sys, time, utils.team as team\n"
        f"team.BEAT_SECONDS, team.SILENT_SECONDS, team.LEAVE_SECONDS = 0.2, {silent}, {silent / 3}\n"
        f"claims = team.Team.claims\n{how}team.Team.claims = patched\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    launched = {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return subprocess.Popen(
        [sys.executable, "-c", program, str(REPO_ROOT / "bins/preprocess.py"), "--config", config, "--num_workers=1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPO_ROOT,
        env={**os.environ, **launched},
    )


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def corpus(tiny_corpus: Callable[..., Path]) -> Path:
    return tiny_corpus(70, words=1)  # 4 shards


def test_two_processes_make_the_same_bytes_as_one(corpus: Path, tmp_path: Path) -> None:
    alone = start(tmp_path / "one", corpus, 0, free_port(), size=1)
    _, errors = alone.communicate(timeout=300)
    assert alone.returncode == 0, errors

    port = free_port()
    leader, helper = (start(tmp_path / "two", corpus, rank, port) for rank in range(2))
    told, errors = leader.communicate(timeout=300)
    assert leader.returncode == 0, errors
    assert "making features of 70 (dio pitch) in 2 processes" in told and "70 utterances kept" in told
    assert helper.communicate(timeout=300) == ("", "") and helper.returncode == 0
    assert contents(tmp_path / "two" / "data") == contents(tmp_path / "one" / "data")


def test_a_process_that_dies_ends_the_other(corpus: Path, tmp_path: Path) -> None:
    folder, port = tmp_path / "killed", free_port()
    helper = start(folder, corpus, 1, port, how=DIE)
    leader = start(folder, corpus, 0, port, silent=3.0)
    _, errors = leader.communicate(timeout=300)
    assert leader.returncode == 1
    assert "process 1 of 2 (on" in errors and "no sign of life" in errors and "Traceback" not in errors
    assert helper.wait() == -signal.SIGKILL
    assert not (folder / "data" / "LJSpeech" / "preprocess.lock.json").exists()

    port = free_port()
    leader, helper = (start(folder, corpus, rank, port) for rank in range(2))
    while leader.poll() is None and not _at_work(leader):
        time.sleep(0.01)
    os.kill(leader.pid, signal.SIGKILL)
    leader.communicate()
    _, errors = helper.communicate(timeout=300)
    assert helper.returncode == 1 and "lost contact with the first one" in errors and "Traceback" not in errors


def _at_work(leader: subprocess.Popen[str]) -> bool:
    assert leader.stdout is not None
    return "making features" in leader.stdout.readline()
