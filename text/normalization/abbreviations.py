"""Titles, abbreviations and Roman numerals to words, with rules on the neighboring words."""

from __future__ import annotations

import re

from text.normalization.numbers import cardinal, ordinal, pairs, roman
from text.sentences import SENTENCE_STARTERS, is_sentence_end
from text.tables import table, words

_TABLE = table("abbreviations")
_ALWAYS: dict[str, str] = _TABLE["always"]
_BEFORE_NAME: dict[str, str] = _TABLE["before_name"]
_BEFORE_NUMBER: dict[str, str] = _TABLE["before_number"]
_STREET: dict[str, str] = _TABLE["street"]
_ENDING: dict[str, str] = _TABLE["ending"]
_MONTHS: dict[str, str] = _TABLE["months"]
_WEEKDAYS: dict[str, str] = _TABLE["weekdays"]
_STATES: dict[str, str] = _TABLE["states"]
_KEYS = sorted(
    {key for section in _TABLE.values() if isinstance(section, dict) for key in section}, key=len, reverse=True
)

_DOTTED = re.compile(rf"(?<![\w.])({'|'.join(re.escape(key) for key in _KEYS)})\.(?!\w)", re.IGNORECASE)
_TITLE = re.compile(r"\b(Mr|Mrs|Dr|Prof|St)\s(?=[A-Z]|and\s)")
_BARE = re.compile(r"\b(vs|etc)\b(?!\.)")
_BARE_STREET = re.compile(r"\b([A-Z][a-z]+|\d+(?:st|nd|rd|th))\s(St|Ave|Blvd|Rd|Dr|Ln|Hwy|Pkwy)\b(?!\.|\s[A-Z])")
_BARE_MONTH = re.compile(r"\b(Mon|Tue|Tues|Wed|Thu|Thur|Thurs|Fri|Sat|Sun)(?=,?\s(?:[A-Z][a-z]{2,8}\.?\s\d|\d))")
_WEEKDAY = "|".join(name.title() for name in _WEEKDAYS)
_WEEKDAYS_RANGE = re.compile(rf"\b({_WEEKDAY})\.?\s?[-–]\s?({_WEEKDAY})\b")
_DIRECTIONS = {"N": "North", "S": "South", "E": "East", "W": "West"}
_DIRECTION = re.compile(r"\b([NSEW])\.?\s(?=[A-Z][a-z]+\s(?:Street|Avenue|Road|Drive|Boulevard|Lane|Court|Place)\b)")
_NUMBER_SIGN = re.compile(r"\bN(?:o|os)\s(?=\d)")
_VERSUS = re.compile(r"(?<=[A-Za-z.])\sv\.\s(?=[A-Z])")
_BEFORE = re.compile(r"([A-Za-z']+|\d+(?:st|nd|rd|th))\s$")
_SLASHED = {"w/o": "without", "w/": "with", "c/o": "care of", "b/c": "because", "and/or": "and or"}
_SLASHES = re.compile(r"(?<![\w/])(w/o|w/|c/o|b/c|and/or)(?:(?<=/)\s?(?=\w)|\b)", re.IGNORECASE)

_RULERS = words("roman", "rulers")
_TITLES = words("roman", "titles")
_PARTS = words("roman", "parts")
_NOT_NAMES = words("roman", "not_names")
_ROMAN = re.compile(
    r"\b(?:([A-Za-z]+)(\.?\s))?(?<![.'-])([IVXLCDM]+)((?:th|st|nd|rd)\b)?(?![\w-]|\.[A-Za-z])(\.?)('s\b)?"
)
_WORLD_WAR = re.compile(r"\bWW(?=(?:I{1,2}|1|2)\b)")
_LOWER_ROMAN = re.compile(r"(?i:\b(chapter|volume|section|appendix|part|page|pages|book)\s)([ivxl]{1,6})\b(?!')")
_LISTED = re.compile(r"\((i{1,3}|iv|vi{0,3}|ix|x)\)")


def expand_abbreviations(text: str) -> str:
    """Expands abbreviations; digits stay."""
    if "/" in text:
        text = _SLASHES.sub(lambda match: _SLASHED[match[1].lower()] + (" " if match[1][-1] == "/" else ""), text)
    if "." in text:
        text = _DOTTED.sub(_dotted, text)
        text = _VERSUS.sub(" versus ", text)
    text = _TITLE.sub(lambda match: _like(match[1], (_ALWAYS | _BEFORE_NAME)[match[1].lower()]) + " ", text)
    text = _BARE_STREET.sub(lambda match: f"{match[1]} {_like(match[2], _STREET[match[2].lower()])}", text)
    text = _BARE_MONTH.sub(lambda match: _WEEKDAYS[match[1].lower()], text)
    text = _WEEKDAYS_RANGE.sub(lambda match: f"{_WEEKDAYS[match[1].lower()]} to {_WEEKDAYS[match[2].lower()]}", text)
    text = _DIRECTION.sub(lambda match: _DIRECTIONS[match[1]] + " ", text)
    text = _NUMBER_SIGN.sub("number ", text)
    return _BARE.sub(lambda match: (_ALWAYS | _ENDING)[match[1]], text)


def _like(written: str, spoken: str) -> str:
    """Capitalizes the spoken word if the written one is capitalized."""
    return spoken[0].upper() + spoken[1:] if written[0].isupper() else spoken


def _dotted(match: re.Match[str]) -> str:
    written, key = match[1], match[1].lower()
    before = match.string[max(0, match.start() - 30) : match.start()]
    after = match.string[match.end() : match.end() + 60]
    following = after.lstrip(" ")
    dot = _kept_dot(key, after)
    capital = written[0].isupper()
    if key in _MONTHS and capital and key != "mar" or key == "mar" and capital and re.match(r"\s*\d", after):
        return _MONTHS[key] + dot
    if (
        key in _WEEKDAYS
        and capital
        and re.match(r",?\s+(?:[A-Z][a-z]{2,8}\.?\s)?\d|\s?[-–]|\s(?:night|morning|afternoon|evening)", after)
    ):
        return _WEEKDAYS[key]
    if key in _BEFORE_NUMBER and re.match(
        r"#?\d|[A-Z]{1,3}-?\d" if key in ("no", "nos", "p", "pp") else r"\d|[IVXLC]+\b", following
    ):
        spoken = _BEFORE_NUMBER[key]
        return (_like(written, spoken)) + ("" if after[:1] == " " else " ")
    if re.search(r"\d[\s-]?$", before):  # a unit: "5 ft. 10 in."
        return match[0]
    if key in _STREET and capital and _after_street_name(before, following, key):
        return _like(written, _STREET[key]) + dot
    if key in _BEFORE_NAME and (following[:1].isupper() or (key == "dr" and not capital)):
        return _like(written, _BEFORE_NAME[key])
    if key in _ENDING and (capital or key not in ("co", "cos", "max") or re.search(r"(?:&|and)\s$", before)):
        return _like(written, _ENDING[key]) + dot
    if key in _ALWAYS and (capital or key not in ("mt", "ft")):
        if key in ("mt", "ft") and not following[:1].isupper():
            return match[0]
        return _like(written, _ALWAYS[key]) + ("." if not following else "")
    if key in _STATES and capital:
        return _STATES[key] + dot
    return match[0]


def _kept_dot(key: str, after: str) -> str:
    """Returns the full stop that also ends the sentence, or an empty string if it only belongs to the abbreviation."""
    if not after.strip(" \"')]\n"):
        return "."
    if not after[0].isspace() and after[0] not in "\"')]":
        return ""
    return "." if is_sentence_end(key, after.lstrip("\"')] \n")) and not after.lstrip()[:1].isdigit() else ""


def _after_street_name(before: str, following: str, key: str) -> bool:
    match = _BEFORE.search(before)
    if not match:
        return False
    name = match[1]
    named = name[0].isdigit() or (name[0].isupper() and name.lower() not in SENTENCE_STARTERS)
    if not named:
        return False
    if key not in _BEFORE_NAME or not following[:1].isupper():
        return True
    starter = re.match(r"[A-Za-z']+", following)
    return bool(starter and starter[0].lower() in SENTENCE_STARTERS)


def expand_roman(text: str) -> str:
    """Expands Roman numerals after names, titles and parts of books; "I" by itself stays."""
    text = _ROMAN.sub(_roman, _WORLD_WAR.sub("World War ", text))
    if "(" in text:
        text = _LISTED.sub(lambda match: f"({cardinal(roman(match[1]) or 0)})", text)
    return _LOWER_ROMAN.sub(_lower_roman, text)


def _lower_roman(match: re.Match[str]) -> str:
    value = roman(match[2])
    return match[0] if value is None else f"{match[1]} {cardinal(value)}"


def _roman(match: re.Match[str]) -> str:
    word, space, numeral, suffix, dot, possessive = match.groups()
    value = roman(numeral)
    if not value:
        return match[0]
    head = f"{word}{space}" if word else ""
    tail = (dot or "") + (possessive or "")
    spoken = _roman_words(word or "", space or "", numeral, value, suffix, match)
    if spoken is None:
        return match[0]
    if dot and spoken.startswith("the "):
        # "George III. was": the full stop belongs to the numeral, unless a sentence ends here
        after = match.string[match.end() :]
        tail = ("." if not after.strip() or (after[0] == " " and is_sentence_end("etc", after.lstrip())) else "") + (
            possessive or ""
        )
    return head + spoken + tail


def _roman_words(
    word: str, space: str, numeral: str, value: int, suffix: str | None, match: re.Match[str]
) -> str | None:
    after = match.string[match.end() : match.end() + 20]
    long = len(numeral) > 1
    if suffix:
        return ordinal(value)
    if word in ("War", "WAR") and value < 4:
        return cardinal(value)
    if "." in space and word.lower() not in _PARTS:
        word = ""
    if word in _RULERS and value < 40:
        if not long and match[5] and re.match(r"\s[A-Z][a-z]", after):
            return None  # an initial: "Robert I. Bouck"
        titled = re.search(rf"(?i:\b(?:{'|'.join(_TITLES)})\s+){word}\s$", match.string[: match.start(3)][-60:])
        if long or numeral in "VX" or titled or match[5] or match[6] or re.match(r"[,;:)]|$|\s(?:of|was|and)\b", after):
            return f"the {ordinal(value)}"
        return None
    if word.lower() in _PARTS:
        if not long and numeral not in "IVX":
            return None
        return cardinal(value) if word[0].isupper() or long else None
    if re.match(r"\s[Cc]entur(?:y|ies)\b", after):
        return ordinal(value) if long else None
    if word and word[0].isupper() and word.lower() not in _NOT_NAMES and numeral in ("II", "III", "IV"):
        if numeral == "IV":
            return None  # "intravenous", because no ruler's name is before it
        return f"the {ordinal(value)}" if word[1:].islower() else cardinal(value)
    if len(numeral) >= 3 and set(numeral) <= set("IVX") and numeral != "XXX":
        return cardinal(value)
    if len(numeral) >= 4 and 1000 < value < 2100:
        return pairs(value)
    return None
