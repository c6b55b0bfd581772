"""What every program does with errors, and the lock that keeps a second run out."""

import errno
import subprocess
import sys

import pytest

from utils.errors import UserError
from utils.lock import exclusive
from utils.program import Parser, run


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UserError("mend this", 2), 2, "mend this"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), 1, "/x/y: No space left on device"),
        (KeyboardInterrupt(), 130, "go on with --resume"),
    ],
)
def test_what_a_user_can_mend_is_one_line(capsys, error, code, message):
    def main():
        raise error

    with pytest.raises(SystemExit) as stop:
        run(main, "go on with --resume")
    assert stop.value.code == code
    assert capsys.readouterr().err.strip() == message


def test_a_defect_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 / 0, "")


def test_a_reader_that_has_seen_enough_is_no_error():
    program = "from utils.program import run; run(lambda: [print(i) for i in range(100000)], '')"
    head = subprocess.run(
        f'"{sys.executable}" -c "{program}" | head -n 1', shell=True, capture_output=True, text=True, timeout=60
    )
    assert head.stdout == "0\n" and head.stderr == ""


def test_a_wrong_flag_is_one_line(capsys):
    parser = Parser(prog="train.py")
    parser.add_argument("--num", type=int)
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(["--num", "x"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "train.py: argument --num: invalid int value: 'x'; see --help\n"


def test_a_second_run_is_kept_out(tmp_path):
    folder = tmp_path / "ckpts" / "voice"
    with exclusive(folder):
        with pytest.raises(UserError, match="voice: another run is using this folder"), exclusive(folder):
            pass
        assert not folder.exists()
    with exclusive(folder):
        pass
