"""Numbers in words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from num2words import num2words

from text.normalization.numbers import cardinal, digits, fraction, ordinal, pairs, plural, roman


@settings(deadline=None, derandomize=True)
@given(st.integers(-(10**18), 10**18))
def test_cardinals_equal_num2words(number: int) -> None:
    assert cardinal(number) == num2words(number).replace(",", "").replace(" and ", " ")


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 10**9))
def test_ordinals_equal_num2words(number: int) -> None:
    assert ordinal(number) == num2words(number, to="ordinal").replace(",", "").replace(" and ", " ")


def test_numbers_without_a_name_are_read_digit_by_digit() -> None:
    assert cardinal(10**21) == "one" + " zero" * 21
    assert digits("907", "oh") == "nine oh seven"


@pytest.mark.parametrize(
    ("number", "spoken"),
    [(1984, "nineteen eighty-four"), (1905, "nineteen oh five"), (1900, "nineteen hundred"), (2000, "two thousand")]
    + [
        (2005, "two thousand five"),
        (2010, "twenty ten"),
        (1066, "ten sixty-six"),
        (602, "six oh two"),
        (42, "forty-two"),
    ],
)
def test_pairs(number: int, spoken: str) -> None:
    assert pairs(number) == spoken


def test_small_things() -> None:
    assert [plural(word) for word in ("twenty", "six", "ten")] == ["twenties", "sixes", "tens"]
    assert fraction(5, 2) == "five halves" and fraction(1, 0) == "one over zero"


def test_roman() -> None:
    assert [roman(numeral) for numeral in ("I", "iv", "XLIX", "MCMXCIV")] == [1, 4, 49, 1994]
    assert [roman(numeral) for numeral in ("", "IIII", "IC", "ABC")] == [None] * 4
