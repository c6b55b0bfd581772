"""Progress on a terminal and in a log."""

import io

import pytest

from utils.progress import Progress, format_seconds


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_seconds_are_readable(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_a_log_gets_whole_lines() -> None:
    stream = io.StringIO()
    with Progress(10, "utterances", "features", every_seconds=0, stream=stream) as progress:
        progress.advance(4)
        progress.advance(6)
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("features: 4 of 10 utterances, ") and lines[0].endswith(" left")
    assert lines[-1].startswith("features: 10 of 10 utterances, ") and lines[-1].endswith(" per second")
    assert "\r" not in stream.getvalue()


def test_a_log_is_not_flooded() -> None:
    stream = io.StringIO()
    with Progress(1000, "steps", "training", initial=500, every_seconds=1e9, stream=stream) as progress:
        for _ in range(500):
            progress.advance()
    assert len(stream.getvalue().splitlines()) == 1


def test_a_terminal_gets_a_bar() -> None:
    stream = Terminal()
    with Progress(10, "utterances", "features", stream=stream) as progress:
        progress.advance(10)
    assert "10/10" in stream.getvalue() and "\r" in stream.getvalue()
