"""LJSpeech's raw transcripts against its normalized ones, which are the words of its reader.

Of the 1,505 rows that differ, 92.2 % come out equal. Of the rest, 85 rows differ only because the normalized column
keeps "Mr.", "Mrs.", "Dr.", "Co." and the like, which the reader says in full and so do we; 11 because we say "dollars
and cents" with "and"; in the others the reader chose one of several readings (house numbers digit by digit, "fourteen
hundred pounds" and elsewhere "one thousand two hundred pounds", serial numbers). `benchmark.py` lists them.
"""

import re
from pathlib import Path

import pytest

from text.normalization.normalizer import normalize

METADATA_PATH = Path(__file__).resolve().parents[1] / "fixtures/ljspeech_normalized.csv"  # the rows that differ


def read_metadata() -> list[tuple[str, str]]:
    """Raw and normalized transcripts."""
    rows = (line.split("|") for line in METADATA_PATH.read_text(encoding="utf-8").splitlines())
    return [(raw, reader) for _, raw, reader in rows]


def folded(text: str) -> str:
    """A text without case and punctuation."""
    return " ".join(re.sub(r"[^\w\s]", " ", text.casefold()).split())


def unequal(spell_abbreviations: bool) -> tuple[int, list[tuple[str, str, str]]]:
    """The number of rows that differ in the corpus, and those that we read otherwise: raw, reader's words, ours.

    Args:
        spell_abbreviations: whether to write "Mr." and its like out in the reader's column first.
    """
    rows = read_metadata()
    rest = []
    for raw, reader in rows:
        ours = normalize(raw)[0]
        if folded(ours) != folded(normalize(reader)[0] if spell_abbreviations else reader):
            rest.append((raw, reader, ours))
    return len(rows), rest


@pytest.mark.parametrize(("spell_abbreviations", "least"), [(False, 0.92), (True, 0.97)])
def test_rows_that_differ_come_out_as_the_reader_says_them(spell_abbreviations: bool, least: float) -> None:
    total, rest = unequal(spell_abbreviations)
    assert total == 1505
    assert 1 - len(rest) / total >= least
