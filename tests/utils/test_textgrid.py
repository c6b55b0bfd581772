"""TextGrids as different aligners write them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from utils.textgrid import Interval, TextGridError, Tier, read_phones, write_textgrid

SHORT = '''File type = "ooTextFile"
Object class = "TextGrid"

0
0.5
<exists>
2
"IntervalTier"
"words"
0
0.5
1
0
0.5
"say ""hi"""
"IntervalTier"
"phones"
0
0.5
2
0
0.2
"HH"
0.2
0.5
"AY1"
'''


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_short_format_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(SHORT, encoding=encoding)
    assert read_phones(path) == [Interval(0, 0.2, "HH"), Interval(0.2, 0.5, "AY1")]


def test_crlf(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_bytes(SHORT.replace("\n", "\r\n").encode())
    assert [interval.label for interval in read_phones(path)] == ["HH", "AY1"]


@pytest.mark.parametrize("tier", ["phones", "Phones", "speaker one - phones", "whatever, it is the only one"])
def test_long_format_finds_the_tier(tmp_path: Path, write_textgrid: Callable[..., None], tier: str) -> None:
    write_textgrid(tmp_path / "a.TextGrid", [("", 0.1), ("AH0", 0.25), ('q"', 0.1)], tier)
    intervals = read_phones(tmp_path / "a.TextGrid")
    assert [interval.label for interval in intervals] == ["", "AH0", 'q"']
    assert intervals[1] == Interval(0.1, 0.35, "AH0")


def test_long_format_equals_short(tmp_path: Path, write_textgrid: Callable[..., None]) -> None:
    write_textgrid(tmp_path / "long.TextGrid", [("HH", 0.2), ("AY1", 0.3)])
    (tmp_path / "short.TextGrid").write_text(SHORT)
    assert read_phones(tmp_path / "long.TextGrid") == read_phones(tmp_path / "short.TextGrid")


def test_quotes_that_a_writer_did_not_escape(tmp_path: Path, write_textgrid: Callable[..., None]) -> None:
    path = tmp_path / "a.TextGrid"
    write_textgrid(path, [("X", 0.2), ("AY1", 0.3)])
    path.write_text(path.read_text().replace('"X"', '""Quoted" word"'))
    assert [interval.label for interval in read_phones(path)] == ['"Quoted" word', "AY1"]


def test_point_tiers_and_comments_are_passed_over(tmp_path: Path) -> None:
    points = '! a comment with "quotes" and 7\n"TextTier"\n"clicks"\n0\n0.5\n1\n0.3\n"click"\n"IntervalTier"\n"phones"'
    path = tmp_path / "a.TextGrid"
    path.write_text(SHORT.replace('"IntervalTier"\n"phones"', points).replace("<exists>\n2", "<exists>\n3"))
    assert [interval.label for interval in read_phones(path)] == ["HH", "AY1"]


def test_gaps_become_empty_intervals(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(SHORT.replace('0.2\n0.5\n"AY1"', '0.3\n0.5\n"AY1"'))
    assert read_phones(path) == [Interval(0, 0.2, "HH"), Interval(0.2, 0.3, ""), Interval(0.3, 0.5, "AY1")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a TextGrid"),
        ("File type = 'something else'", "not a TextGrid"),
        (SHORT[: SHORT.index('"AY1"')], "end of the file"),
        (SHORT.replace('"phones"', '"segments"'), "'words', 'segments'"),
        (SHORT.replace('0.2\n0.5\n"AY1"', '0.1\n0.5\n"AY1"'), "before the previous one ends"),
        (SHORT.replace('0.2\n0.5\n"AY1"', '0.2\n0.1\n"AY1"'), "runs from 0.2 to 0.1"),
    ],
)
def test_a_broken_file_says_what_is_wrong(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(content)
    with pytest.raises(TextGridError, match=message):
        read_phones(path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_bytes(b"\x89\xff\x00\x01binary")
    with pytest.raises(TextGridError, match="not UTF-8"):
        read_phones(path)


def test_what_is_written_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "x.TextGrid"
    words = Tier("words", [Interval(0.0, 0.25, ""), Interval(0.25, 1.5, 'the "end"')])
    phones = Tier("phones", [Interval(0.0, 0.25, ""), Interval(0.25, 0.75, "DH"), Interval(0.75, 1.5, "AH0")])
    write_textgrid(path, [words, phones])
    assert read_phones(path) == phones.intervals
    assert read_phones(path, "words") == words.intervals
