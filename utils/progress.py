"""Progress reports: a bar on a terminal, otherwise a line at regular intervals."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from tqdm import tqdm


def format_seconds(seconds: float) -> str:
    """Formats a duration for people: "8 s", "3 min 20 s", "2 h 05 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress:
    """A progress report, used as a context manager.

    On a terminal it is a bar; elsewhere (a log file, a CI job), one line every `every_seconds` and one at the end.
    """

    def __init__(
        self,
        total: int,
        unit: str,
        label: str,
        *,
        initial: int = 0,
        every_seconds: float = 10.0,
        stream: TextIO | None = None,
    ) -> None:
        """Starts the clock, and the bar if the stream is a terminal.

        Args:
            total: number of units at the end.
            unit: plural of the unit ("utterances").
            label: name of the task ("features").
            initial: number of units that are already done, which do not count for the speed.
            every_seconds: time between lines if the stream is not a terminal.
            stream: destination; None: standard error.
        """
        self._total, self._unit, self._label, self._every = total, unit, label, every_seconds
        self._stream = stream if stream is not None else sys.stderr
        self._done = self._initial = self._shown = initial
        self._started = self._printed = time.monotonic()
        self._bar = None
        if self._stream.isatty():
            self._bar = tqdm(
                total=total, initial=initial, unit=f" {unit}", desc=label, file=self._stream, dynamic_ncols=True
            )

    def advance(self, count: int = 1) -> None:
        """Counts further."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif time.monotonic() - self._printed >= self._every:
            self._print_line()

    def close(self) -> None:
        """Ends the bar, or prints the last line if it is not yet printed."""
        if self._bar is not None:
            self._bar.close()
        elif self._done > self._shown:
            self._print_line()

    def _print_line(self) -> None:
        self._printed, self._shown = time.monotonic(), self._done
        rate = (self._done - self._initial) / max(self._printed - self._started, 1e-9)
        parts = [f"{self._label}: {self._done:,} of {self._total:,} {self._unit}", f"{rate:.1f} per second"]
        if self._done < self._total and rate > 0:
            parts.append(f"{format_seconds((self._total - self._done) / rate)} left")
        print(", ".join(parts), file=self._stream, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
