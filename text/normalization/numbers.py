"""Numbers to American English words: cardinals, ordinals, decimals, digits, years, fractions, Roman numerals."""

from __future__ import annotations

import re

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ("", "thousand", "million", "billion", "trillion", "quadrillion", "quintillion")
_LARGEST = 1000 ** len(_SCALES)
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_ROMAN = re.compile(r"M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def cardinal(number: int) -> str:
    """Spells a whole number: 1234 is "one thousand two hundred thirty-four"; digit by digit from 10^21."""
    if number < 0:
        return "minus " + cardinal(-number)
    if number >= _LARGEST:
        return digits(str(number))
    if number < 1000:
        return _below_thousand(number)
    groups = []
    scale = 0
    while number:
        number, group = divmod(number, 1000)
        if group:
            groups.append(f"{_below_thousand(group)} {_SCALES[scale]}".rstrip())
        scale += 1
    return " ".join(reversed(groups))


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    parts = [_ONES[hundreds] + " hundred"] if hundreds else []
    if rest or not parts:
        parts.append(_below_hundred(rest))
    return " ".join(parts)


def _below_hundred(number: int) -> str:
    if number < 20:
        return _ONES[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")


def ordinal(number: int) -> str:
    """Spells an ordinal: 21 is "twenty-first"."""
    head, last = re.fullmatch(r"(.*?)(\w+)", cardinal(number)).groups()  # type: ignore[union-attr]
    if last in _ORDINALS:
        return head + _ORDINALS[last]
    return head + (last[:-1] + "ieth" if last.endswith("y") else last + "th")


def digits(numerals: str, zero: str = "zero") -> str:
    """Spells each digit: "007" is "zero zero seven"."""
    return " ".join(zero if digit == "0" else _ONES[int(digit)] for digit in numerals)


def decimal(numerals: str) -> str:
    """Spells a number as written: "-1,234.50" is "minus one thousand two hundred thirty-four point five zero".

    Args:
        numerals: an optional minus sign, digits with or without commas, an optional fraction. A number with leading
            zeros or more than 21 digits before the point is read digit by digit.
    """
    sign = "minus " if numerals[0] == "-" else ""
    whole, point, fraction = numerals.lstrip("-").replace(",", "").partition(".")
    if (len(whole) > 1 and whole[0] == "0") or len(whole) > 21:
        spoken = digits(whole)
    else:
        spoken = cardinal(int(whole)) if whole else ""
    if point and fraction:
        spoken = f"{spoken} point {digits(fraction)}".lstrip()
    return sign + spoken


def pairs(number: int) -> str:
    """Spells a number of 3 or 4 digits as in years, addresses and page numbers: 1984, 1905, 1900, 249, 602.

    The first ten numbers of each thousand, such as 2000 to 2009, are cardinals: "two thousand nine".
    """
    high, low = divmod(number, 100)
    if number < 100 or number > 9999 or number % 1000 < 10 and number > 999:
        return cardinal(number)
    if low == 0:
        return f"{cardinal(high)} hundred"
    return f"{cardinal(high)} {'oh ' if low < 10 else ''}{cardinal(low)}"


def plural(spoken: str) -> str:
    """Returns the plural of a spoken number: "twenties" of "twenty", "nineteen hundreds" of "nineteen hundred"."""
    if spoken.endswith("y"):
        return spoken[:-1] + "ies"
    return spoken + ("es" if spoken.endswith("x") else "s")


def fraction(numerator: int, denominator: int) -> str:
    """Spells a fraction: "one half", "three quarters", "two thirds", "seven sixteenths"; unusual ones with "over"."""
    if denominator < 2 or denominator > 100 and denominator not in (1000, 1_000_000):
        return f"{cardinal(numerator)} over {cardinal(denominator)}"
    if denominator == 2:
        return f"{cardinal(numerator)} {'half' if numerator == 1 else 'halves'}"
    part = "quarter" if denominator == 4 else ordinal(denominator)
    return f"{cardinal(numerator)} {part}{'' if numerator == 1 else 's'}"


def roman(numeral: str) -> int | None:
    """Returns the value of a Roman numeral in upper or lower case, or None if it is not one."""
    upper = numeral.upper()
    if not upper or not _ROMAN.fullmatch(upper):
        return None
    values = [_ROMAN_VALUES[letter] for letter in upper]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))
