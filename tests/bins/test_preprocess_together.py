"""Stage 1 over several processes: the same bytes as one makes, and an error instead of a wait where one dies."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPO_ROOT = Path(__file__).resolve().parents[2]


# Put before the program: the process kills itself in its first shard.
DIE = """
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
pool.Workers.make = die
"""


def start(folder: Path, corpus: Path, rank: int, port: int, size: int = 2, before: str = "") -> subprocess.Popen[str]:
    """One rank, as torchrun starts it."""
    folder.mkdir(exist_ok=True)
    config = folder / "exp_config.json"
    preprocess = {"processed_dir": str(folder / "data"), "valid_fraction": 0.1, "test_fraction": 0.1}
    values = {"dataset": ["LJSpeech"], "dataset_path": {"LJSpeech": str(corpus)}, "preprocess": preprocess}
    config.write_text(json.dumps({"base_config": "config/fs2.json", **values}))
    program = (
        "import datetime, os, runpy, signal, sys\n"
        "from processors.stage1 import pool, ranks\n"
        f"{before}\n"
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
    first, second = (start(tmp_path / "two", corpus, rank, port) for rank in range(2))
    output, errors = first.communicate(timeout=300)
    assert first.returncode == 0, errors
    assert "making features of 70 (dio pitch) in 2 processes" in output and "70 utterances kept" in output
    assert second.communicate(timeout=300) == ("", "") and second.returncode == 0
    assert contents(tmp_path / "two" / "data") == contents(tmp_path / "one" / "data")


def lock_of(folder: Path) -> Path:
    return folder / "data" / "LJSpeech" / "preprocess.lock.json"


def test_a_process_that_dies_ends_the_first_one(corpus: Path, tmp_path: Path) -> None:
    port = free_port()
    first, second = (start(tmp_path, corpus, rank, port, before=DIE if rank else "") for rank in range(2))
    _, errors = first.communicate(timeout=300)
    assert second.wait() == -signal.SIGKILL
    assert first.returncode == 1 and "another process died" in errors and "Traceback" not in errors
    assert not lock_of(tmp_path).exists()


def test_when_the_first_one_dies_the_others_end(corpus: Path, tmp_path: Path) -> None:
    port = free_port()
    first, second = (start(tmp_path, corpus, rank, port, before="" if rank else DIE) for rank in range(2))
    _, errors = second.communicate(timeout=300)
    assert first.wait() == -signal.SIGKILL
    assert second.returncode == 1 and "the first process ended" in errors and "Traceback" not in errors
    assert not lock_of(tmp_path).exists()


def test_an_error_of_another_process_is_the_first_ones_error(corpus: Path, tmp_path: Path) -> None:
    fail = "def fail(*_):\n    raise OSError('no space left')\npool.Workers.make = fail"
    port = free_port()
    first, second = (start(tmp_path, corpus, rank, port, before=fail if rank else "") for rank in range(2))
    _, errors = first.communicate(timeout=300)
    assert second.wait() == 1
    assert first.returncode == 1 and "process 1 of 2 (on" in errors and "failed: no space left" in errors
    assert not lock_of(tmp_path).exists()


def test_a_process_that_never_starts_is_an_error(corpus: Path, tmp_path: Path) -> None:
    soon = "ranks.JOIN_TIMEOUT = datetime.timedelta(seconds=2)"
    alone = start(tmp_path, corpus, 0, free_port(), before=soon)
    _, errors = alone.communicate(timeout=300)
    assert alone.returncode == 1 and "did not find each other" in errors and "Traceback" not in errors
