"""Dates, times of day, years and decades to words."""

from __future__ import annotations

import re

from text.normalization.numbers import cardinal, digits, ordinal, pairs, plural

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_MONTH = "|".join(MONTHS) + "|" + "|".join(month[:3] for month in MONTHS if month != "May") + "|Sept"
_ISO = re.compile(r"(?<![\d-])(\d{4})-(\d\d)-(\d\d)(?:T(?=\d))?(?![\d-])")
_NUMERIC = re.compile(r"(?<![\d/.-])(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d\d)(?![\d/]|[.-]\d)")
_MONTH_DAY = re.compile(
    rf"\b({_MONTH})\s+(\d{{1,2}})(st|nd|rd|th)?\b(?![:/%]|[.,]\d|[-–]\d)(?:(,?\s+)(\d{{4}})\b(?!,?\d|\s?%))?"
)
_DAY_MONTH = re.compile(rf"\b(the\s+)?(\d{{1,2}})(st|nd|rd|th)?(\s+of)?\s+({_MONTH})\b(?:(,?\s+)(\d{{4}})\b(?!,?\d))?")
_MONTH_YEAR = re.compile(rf"\b({_MONTH})(,?\s+(?:of\s+)?)([12]\d{{3}})\b(?!,?\d)")
_CLOCK = re.compile(
    r"(?<![\d:.,$£€])(\d{1,2}):([0-5]\d)(?::([0-5]\d))?(?![:\d])(?:\s?([AaPp])(?:[Mm]\b\.?|\.\s?[Mm]\.?(?!\w)))?"
)
_HOUR = re.compile(r"(?<![\d:.,$£€])(\d{1,2})(?:\s?[-–]\s?(\d{1,2}))?\s?([AaPp])(?:[Mm]\b\.?|\.\s?[Mm]\.?(?!\w))")
_CLOCKS = re.compile(r"(\d:[0-5]\d(?:\s?[AaPp]\.?[Mm]\.?)?)\s?[-–]\s?(?=\d{1,2}:[0-5]\d)")
_POINT_CLOCK = re.compile(r"(?<=\b\d)\.(?=[0-5]\d\s?[ap]\.?m\b)|(?<=\b\d\d)\.(?=[0-5]\d\s?[ap]\.?m\b)")
_VERSE = re.compile(
    r"\b((?:Genesis|Exodus|Psalms?|Proverbs|Isaiah|Matthew|Mark|Luke|John|Acts|Romans|Corinthians|Revelation)\s)"
    r"(\d{1,3}):(\d{1,3})\b"
)
_ORDINALS = re.compile(r"(?<=\d(?:st|nd|rd|th))\s?[-–]\s?(?=\d{1,2}(?:st|nd|rd|th)\b)")
_HALVES = re.compile(r"(?<=[ap]\.m\.)\s?[-–]\s?(?=[a-z])")
_RATIO = re.compile(r"(?<![\d:.])(\d+):(\d+)(?![:\d])")
_DECADE = re.compile(r"(?<![\w.,$£€])'?((?:1\d|20)\d0|[2-9]0|10)'?s\b")
_SHORT_YEAR = re.compile(r"(?<![\w'])'(\d\d)\b(?!')")
_ERA_AFTER = re.compile(r"\b(\d{1,4})(?:\s?[-–]\s?(\d{1,4}))?\s?((?:BCE?|CE|AD)\b|B\.\s?C\.(?:E\.)?|A\.\s?D\.|C\.E\.)")
_ERA_BEFORE = re.compile(r"\b(AD|A\.D\.)\s?(\d{1,4})\b")


def speak_dates(text: str) -> str:
    """Expands dates, times, decades, and years with an era; `speak_quantities` expands other years."""
    text = _ISO.sub(_iso, text)
    text = _NUMERIC.sub(_numeric, text)
    text = _ORDINALS.sub(" to ", text)
    text = _MONTH_DAY.sub(_month_day, text)
    text = _DAY_MONTH.sub(_day_month, text)
    text = _MONTH_YEAR.sub(lambda match: f"{_name(match[1])}{match[2]}{pairs(int(match[3]))}", text)
    text = _POINT_CLOCK.sub(":", text)
    if ":" in text:
        text = _VERSE.sub(r"\1\2 \3", text)
        text = _CLOCKS.sub(r"\1 to ", text)
        text = _CLOCK.sub(_clock, text)
        text = _RATIO.sub(r"\1 to \2", text)
    text = _HOUR.sub(_hour, text)
    text = _HALVES.sub(" to ", text)
    text = _DECADE.sub(lambda match: plural(_decade(int(match[1]))), text)
    text = _ERA_AFTER.sub(_era_after, text)
    text = _ERA_BEFORE.sub(lambda match: f"{match[1]} {pairs(int(match[2]))}", text)
    return _SHORT_YEAR.sub(lambda match: _two_digits(match[1]), text)


def _name(month: str) -> str:
    return next(name for name in MONTHS if name.startswith(month[:3]))


def _valid(month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= 31


def _iso(match: re.Match[str]) -> str:
    year, month, day = (int(part) for part in match.groups())
    if not _valid(month, day):
        return match[0]
    after = ", " if match[0].endswith("T") else ""
    return f"{MONTHS[month - 1]} {ordinal(day)}, {pairs(year)}{after}"


def _numeric(match: re.Match[str]) -> str:
    """Reads 10/12/2019 as October twelfth, as Americans do; 25/12/2019 and 12.10.2019 have the day first."""
    month, day, year = int(match[1]), int(match[3]), int(match[4])
    if month > 12 or match[2] == ".":
        month, day = day, month
    if not _valid(month, day) or (match[2] != "/" and len(match[4]) == 2):
        return match[0]
    if len(match[4]) == 2:
        year += 2000 if year < 50 else 1900
    return f"{MONTHS[month - 1]} {ordinal(day)}, {pairs(year)}"


def _month_day(match: re.Match[str]) -> str:
    month, day, suffix, between, year = match.groups()
    if int(day) > 31:
        return match[0]
    # "November 22" is read as written, "November twenty-two", as LJSpeech's reader and many others do.
    spoken = f"{_name(month)} {ordinal(int(day)) if suffix else cardinal(int(day))}"
    return spoken + (f"{between}{pairs(int(year))}" if year else "")


def _day_month(match: re.Match[str]) -> str:
    the, day, suffix, of, month, between, year = match.groups()
    if not 1 <= int(day) <= 31:
        return match[0]
    if suffix:
        spoken = f"{the or ''}{ordinal(int(day))}{of or ''} {_name(month)}"
    else:
        spoken = f"{the or 'the '}{ordinal(int(day))} of {_name(month)}"
    return spoken + (f"{between}{pairs(int(year))}" if year else "")


def _clock(match: re.Match[str]) -> str:
    hour, minute, second, half = match.groups()
    if int(hour) > 24:
        return match[0]
    spoken = cardinal(int(hour)) if hour != "00" else "zero"
    if minute != "00":
        spoken += " " + (f"oh {cardinal(int(minute))}" if minute[0] == "0" else cardinal(int(minute)))
    elif not half and not second and not re.match(r"\s(?:noon|midnight)", match.string[match.end() :][:9]):
        spoken += " o'clock" if 1 <= int(hour) <= 12 else " hundred"
    if second:
        spoken += f" and {cardinal(int(second))} second{'' if int(second) == 1 else 's'}"
    return spoken + _half(half)


def _half(half: str | None) -> str:
    return f" {half.lower()}.m." if half else ""


def _hour(match: re.Match[str]) -> str:
    first, last, half = match.groups()
    if not all(1 <= int(hour) <= 12 for hour in (first, last) if hour):
        return match[0]
    return cardinal(int(first)) + (f" to {cardinal(int(last))}" if last else "") + _half(half)


def _decade(number: int) -> str:
    return pairs(number) if number >= 100 else cardinal(number)


def _two_digits(numerals: str) -> str:
    if numerals == "00":
        return "oh oh"
    return digits(numerals, "oh") if numerals[0] == "0" else cardinal(int(numerals))


def _era_after(match: re.Match[str]) -> str:
    first, last, era = match.groups()
    return pairs(int(first)) + (f" to {pairs(int(last))}" if last else "") + f" {era}"
