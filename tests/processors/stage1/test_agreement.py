"""Distances between two alignments."""

from collections.abc import Callable
from pathlib import Path

import pytest

from processors.stage1.agreement import agreement, boundary_distances
from utils.textgrid import Interval


def intervals(*rows: tuple[str, float]) -> list[Interval]:
    """(label, end) rows."""
    starts = [0.0, *(end for _, end in rows)]
    return [Interval(start, end, label) for start, (label, end) in zip(starts, rows, strict=False)]


def test_phones_are_matched_without_stress_and_pauses_are_no_phones() -> None:
    own = intervals(("sil", 0.1), ("HH", 0.2), ("AY", 0.4), ("sp", 0.5), ("Y", 0.6), ("UW", 0.8), ("sil", 1.0))
    new = intervals(("", 0.11), ("HH", 0.2), ("AY1", 0.43), ("", 0.5), ("Y", 0.6), ("UW1", 0.8), ("", 1.0))
    assert boundary_distances(own, new).tolist() == pytest.approx([0.01, 0.0, 0.03, 0.0, 0.0, 0.0])


def test_phones_that_only_one_has_are_passed_over() -> None:
    own = intervals(("B", 0.1), ("AH", 0.2), ("D", 0.3))
    new = intervals(("B", 0.1), ("IH", 0.25), ("D", 0.3))
    assert boundary_distances(own, new).tolist() == pytest.approx([0.0, 0.05, 0.0])


def test_a_corpus_is_summed_up(tmp_path: Path, write_textgrid: Callable[..., None]) -> None:
    own, learned = tmp_path / "own", tmp_path / "learned"
    for name, first in (("a", 0.2), ("b", 0.3)):
        write_textgrid(own / f"{name}.TextGrid", [("B", 0.2), ("AH", 0.4)])
        write_textgrid(learned / f"{name}.TextGrid", [("B", first), ("AH", 0.6 - first)])
    write_textgrid(own / "c.TextGrid", [("B", 0.2)])  # has no learned one
    found = agreement({name: own / f"{name}.TextGrid" for name in "abc"}, learned)
    assert found == {"utterances": 2, "boundaries": 6, "mean_ms": 16.67, "median_ms": 0.0, "beyond_75_ms": 0.16667}
    assert agreement({}, learned) is None
