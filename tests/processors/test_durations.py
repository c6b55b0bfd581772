"""Durations sum to the frames, whatever the boundaries are."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.durations import align, utterance_alignment
from processors.skip import SkipUtterance
from utils.textgrid import Interval

RATE, HOP = 22050, 256


def intervals(*pairs: tuple[str, float]) -> list[Interval]:
    found, at = [], 0.0
    for label, seconds in pairs:
        found.append(Interval(at, at + seconds, label))
        at += seconds
    return found


PAIRS = st.lists(
    st.tuples(st.sampled_from(["AH0", "K", "", "sp", "spn"]), st.floats(0.03, 0.8)), min_size=1, max_size=40
)


@given(PAIRS)
def test_durations_sum_to_the_frames_between_the_outer_phones(pairs: list[tuple[str, float]]) -> None:
    phones = [k for k, (label, _) in enumerate(pairs) if label in ("AH0", "K")]
    rows = intervals(*pairs)
    num_frames = int(rows[-1].end * RATE) // HOP
    if not phones:
        with pytest.raises(SkipUtterance, match="no phones"):
            align(rows, RATE, HOP, num_frames)
        return
    found = align(rows, RATE, HOP, num_frames)
    assert len(found.labels) == len(found.durations) == phones[-1] - phones[0] + 1
    assert (found.durations >= 0).all()
    last_frame = found.first_frame + int(found.durations.sum())
    assert last_frame <= num_frames
    assert abs(found.first_frame - rows[phones[0]].start * RATE / HOP) <= 0.5 + 1e-6
    assert abs(last_frame - rows[phones[-1]].end * RATE / HOP) <= 1 + 1e-6  # the audio may end within the last frame
    at = rows[phones[0]].start
    for duration, row in zip(found.durations, rows[phones[0] :], strict=False):
        assert abs(int(duration) - (row.end - at) * RATE / HOP) <= 2
        at = row.end


def test_edges_are_cut_and_inner_pauses_stay() -> None:
    hop = HOP / RATE
    rows = intervals(*[("sil", 3 * hop), ("", 2 * hop), ("AH0", 4 * hop), ("", 5 * hop), ("SIL", hop), ("K", 6 * hop)])
    rows += [Interval(rows[-1].end, rows[-1].end + 7 * hop, "sp")]
    found = align(rows, RATE, HOP, 28)
    assert found.labels == ["AH0", "sp", "sp", "K"]
    assert found.durations.tolist() == [4, 5, 1, 6]
    assert found.first_frame == 5


@pytest.mark.parametrize("pause", ["", "sil", "sp", "SIL", "<eps>"])
def test_every_name_of_a_pause(pause: str) -> None:
    rows = intervals(("spn", 0.1), ("AH0", 0.1), (pause, 0.1), ("spn", 0.1), ("K", 0.1), (pause, 0.1))
    assert align(rows, RATE, HOP, 60).labels == ["AH0", "sp", "spn", "K"]


def test_more_phones_than_frames() -> None:
    rows = intervals(*[("AH0", 0.004)] * 20)
    with pytest.raises(SkipUtterance, match="20 phones in 7 frames"):
        align(rows, RATE, HOP, 6 + 1)


def check(path: Path | None, seconds: float) -> None:
    utterance_alignment(path, seconds, RATE, HOP, int(seconds * RATE) // HOP)


def test_the_end_may_differ_by_50_ms(tmp_path: Path, write_textgrid: Callable[..., None]) -> None:
    write_textgrid(tmp_path / "a.TextGrid", [("AH0", 0.5), ("K", 0.5)])
    for seconds in (0.96, 1.0, 1.04):
        check(tmp_path / "a.TextGrid", seconds)
    for seconds in (0.94, 1.06):
        with pytest.raises(SkipUtterance, match="differ in length"):
            check(tmp_path / "a.TextGrid", seconds)


def test_missing_and_broken(tmp_path: Path) -> None:
    for path in (None, tmp_path / "absent.TextGrid"):
        with pytest.raises(SkipUtterance, match="TextGrid is missing"):
            check(path, 1.0)
    (tmp_path / "a.TextGrid").write_text("no")
    with pytest.raises(SkipUtterance, match="TextGrid is broken"):
        check(tmp_path / "a.TextGrid", 1.0)
