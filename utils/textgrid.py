"""Praat's TextGrid files, the output of the Montreal Forced Aligner and others."""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from utils.atomic import write_text

Kind = TypeVar("Kind", str, float)


class TextGridError(Exception):
    """A file that is not a TextGrid, or whose intervals are not valid."""


class Interval(NamedTuple):
    """A labeled stretch of time."""

    start: float  # s
    end: float  # s
    label: str


class Tier(NamedTuple):
    """An interval tier."""

    name: str
    intervals: list[Interval]


# Praat's rule: a file is a sequence of free-standing numbers, quoted strings and <flags>; everything else ("xmin =",
# "intervals [3]:") is ignored. The long and the short format are therefore read alike. Comments start with !.
_TOKEN = re.compile(
    r'"(?P<string>(?:[^"]|"")*)"'
    r"|(?<!\S)(?P<number>[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?!\S)"
    r"|<(?P<flag>\w+)>"
    r"|(?<!\S)![^\n]*"
)

# Some writers do not double the quotes inside a label. A string then ends at the end of its line.
_TOKEN_UNESCAPED = re.compile(
    _TOKEN.pattern.replace('"(?P<string>(?:[^"]|"")*)"', r'"(?P<string>.*)"[ \t\r]*$'), re.MULTILINE
)

# Boundaries that differ by less are equal, because writers round to 5 or 6 digits.
_TOLERANCE = 1e-4  # s


def read_phones(path: Path, tier_name: str = "phones") -> list[Interval]:
    """Reads the intervals of the phones tier.

    Args:
        path: a TextGrid in the long or the short text format, UTF-8 or UTF-16.
        tier_name: name of the tier in lower case; upper case and "<speaker> - phones" match too. If the file has
            only one interval tier, its name does not matter.

    Returns:
        Intervals in order, from the start of the tier to its end; gaps become intervals with the label "".

    Raises:
        TextGridError: the file is not a TextGrid, has no such tier, or its times are not in order.
        OSError: the file is missing or cannot be read.
    """
    text = _decode(path.read_bytes())
    try:
        tiers = list(_tiers(_tokens(text, _TOKEN)))
    except TextGridError as strict_error:
        try:
            tiers = list(_tiers(_tokens(text, _TOKEN_UNESCAPED)))
        except TextGridError:
            raise strict_error from None
    named = [t for t in tiers if t.name.strip().lower().split(" - ")[-1] == tier_name]
    if not named and len(tiers) == 1:
        named = tiers
    if not named:
        names = ", ".join(repr(t.name) for t in tiers) or "none"
        raise TextGridError(f"no interval tier {tier_name!r}; the interval tiers of the file: {names}")
    return _without_gaps(named[0].intervals)


def write_textgrid(path: Path, tiers: Sequence[Tier]) -> None:
    """Writes interval tiers in Praat's long text format, atomically; equal tiers give equal bytes.

    Args:
        path: the file.
        tiers: at least one; all cover the same time, in order and without gaps.

    Raises:
        OSError: the file cannot be written.
    """
    end = f"{tiers[0].intervals[-1].end:.6f}"
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, tier in enumerate(tiers, 1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{_quoted(tier.name)}"']
        lines += ["        xmin = 0", f"        xmax = {end}", f"        intervals: size = {len(tier.intervals)}"]
        for index, interval in enumerate(tier.intervals, 1):
            lines += [f"        intervals [{index}]:", f"            xmin = {interval.start:.6f}"]
            lines += [f"            xmax = {interval.end:.6f}", f'            text = "{_quoted(interval.label)}"']
    write_text(path, "\n".join(lines) + "\n")


def _quoted(text: str) -> str:
    return text.replace('"', '""')


def _decode(data: bytes) -> str:
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise TextGridError(f"not {encoding.upper()} text: {error.reason} at byte {error.start}") from None


def _tokens(text: str, pattern: re.Pattern[str]) -> Iterator[str | float]:
    for match in pattern.finditer(text):
        if match.lastgroup == "string":
            yield match["string"].replace('""', '"')
        elif match.lastgroup == "number":
            yield float(match["number"])


def _tiers(tokens: Iterator[str | float]) -> Iterator[Tier]:
    """Yields the interval tiers in the tokens of a file; skips point tiers."""

    def take(kind: type[Kind]) -> Kind:
        token = next(tokens, None)
        if not isinstance(token, kind):
            actual = "the end of the file" if token is None else repr(token)[:40]
            raise TextGridError(f"expected a {'number' if kind is float else 'string'}, got {actual}")
        return token

    def count() -> int:
        return int(take(float))

    if next(tokens, None) != "ooTextFile" or next(tokens, None) != "TextGrid":
        raise TextGridError("not a TextGrid in text format")
    take(float), take(float)
    for _ in range(count()):
        kind, name = take(str), take(str)
        take(float), take(float)
        if kind == "IntervalTier":
            yield Tier(
                name,
                [Interval(take(float), take(float), take(str).strip()) for _ in range(count())],
            )
        else:
            for _ in range(count()):
                take(float), take(str)


def _without_gaps(intervals: list[Interval]) -> list[Interval]:
    """Checks that the times are in order and fills gaps with empty intervals."""
    filled: list[Interval] = []
    end = intervals[0].start if intervals else 0.0
    for interval in intervals:
        if not (math.isfinite(interval.start) and math.isfinite(interval.end)) or interval.end < interval.start:
            raise TextGridError(f"interval {interval.label!r} runs from {interval.start} to {interval.end} s")
        if interval.start < end - _TOLERANCE:
            raise TextGridError(
                f"interval {interval.label!r} begins at {interval.start} s, before the previous one ends"
            )
        if interval.start > end + _TOLERANCE:
            filled.append(Interval(end, interval.start, ""))
        filled.append(interval)
        end = interval.end
    return filled
