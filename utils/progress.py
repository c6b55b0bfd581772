"""Progress: a bar on a terminal, a plain line every so often elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from tqdm import tqdm


def format_seconds(seconds: float) -> str:
    """Seconds as people read them: "8 s", "3 min 20 s", "2 h 05 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress:
    """Counts up to a total and shows it; use it as a context manager.

    On a terminal it is a bar. Elsewhere (a log file, a CI job) it is a line every `every_seconds` and one at the end.
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
        """Starts at `initial`.

        Args:
            total: where it ends.
            unit: what is counted, plural ("utterances").
            label: what is being done ("features").
            initial: how many are done already; they don't count for the speed.
            every_seconds: between lines when the stream is no terminal.
            stream: where to; default standard error.
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
        """Ends the bar, or prints the last line."""
        if self._bar is not None:
            self._bar.close()
        elif self._done > self._shown:
            self._print_line()

    def _print_line(self) -> None:
        self._printed, self._shown = time.monotonic(), self._done
        rate = (self._done - self._initial) / max(self._printed - self._started, 1e-9)
        parts = [f"{self._label}: {self._done:,} of {self._total:,} {self._unit}", f"{rate:.1f} a second"]
        if self._done < self._total and rate > 0:
            parts.append(f"{format_seconds((self._total - self._done) / rate)} left")
        print(", ".join(parts), file=self._stream, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
