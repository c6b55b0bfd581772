"""Money, units, fractions, ranges, telephone numbers and all remaining numbers to words."""

from __future__ import annotations

import re
import unicodedata

from text.normalization.characters import VULGAR_FRACTIONS, plain_letters
from text.normalization.numbers import cardinal, decimal, digits, fraction, ordinal, pairs
from text.tables import table, words

NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
_SIGNS: dict[str, list[str]] = table("money")["signs"]
_PREFIXES: dict[str, str] = table("money")["prefixes"]
_CODES: dict[str, list[str]] = table("money")["codes"]
_SCALES: dict[str, str] = table("money")["scales"]
_UNITS: dict[str, list[str]] = table("units")["units"]
_CLOSE_UNITS: dict[str, list[str]] = table("units")["close"]


def _longest_first(names: dict[str, object] | dict[str, str] | dict[str, list[str]]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


_SCALE = rf"(?:\s?(?:{_longest_first(_SCALES)})\b)?"
_MONEY = re.compile(
    rf"(?P<minus>(?<![\w)])-)?(?:\b(?P<prefix>{_longest_first(_PREFIXES)}))?(?P<sign>[{''.join(_SIGNS)}])\s?"
    rf"(?P<first>{NUMBER})(?:\s?[-–]\s?(?P<range>[{''.join(_SIGNS)}]?)(?P<last>{NUMBER}))?(?P<scale>{_SCALE})"
    r"(?P<hyphen>-(?=[a-z]))?"
)
_MONEY_TO = re.compile(
    rf"([{''.join(_SIGNS)}]\s?{NUMBER}\s?(?:{_longest_first(_SCALES)}))\s?[-–]\s?(?=[{''.join(_SIGNS)}])"
)
_MONEY_AFTER = re.compile(
    rf"(?<![\w.,])(?P<first>{NUMBER})(?P<scale>{_SCALE})\s?(?:(?P<sign>[€£₹₽¢])|(?P<code>{'|'.join(_CODES)})\b)"
)
_CODE_BEFORE = re.compile(rf"\b(?P<code>{'|'.join(_CODES)})\s(?P<first>{NUMBER})(?P<scale>{_SCALE})")
_LONG = re.compile(r"\d{22,}|\d{1,3}(?:,\d{3}){7,}")  # numbers this large have no name
_VANITY = re.compile(r"\b1-(8\d\d)-(?=[A-Z]{3,})")  # 1-800-FLOWERS
_PHONE = re.compile(
    r"(?<![\w.,/-])(?:\+?(\d{1,3})[ .-])?(?:\((\d{3})\)\s?|(\d{3})[ .-])(\d{3})[ .-](\d{4})(?![\w/]|[-.,]\d)"
    r"|(?<![\w.,/$£€-])(\d{3})-(\d{4})(?![\w/]|[-.,]\d)"
    r"|\+(\d[\d ().-]{6,20}\d)"
)
_FEET_INCHES = re.compile(r"""(?<![\w.,'"])(\d{1,2})'\s?(\d{1,2}(?:\.\d+)?)(?:"|'')?(?![\w'])""")
_FEET_AND_INCHES = re.compile(r"(\d\s?(?:ft|feet|foot)\.?\s?\d{1,2})\s?in\b\.?")
_FEET = re.compile(r"(?<![\w.,'])(\d+)'(?=\s+(?:x|by|long|wide|tall|deep|high)\b)")
_INCHES = re.compile(
    r'(?<![\w.,"])(\d+(?:\.\d+)?)"(?=\s+(?:x|by|long|wide|tall|deep|high|thick|pipe|screen|monitor)\b)'
)
_PENCE = re.compile(r"(?<![\w.,$£-])(\d{1,2})p\b")
_VULGAR = re.compile(rf"(?:(?<![\d.,/])(\d+)\s?)?([{VULGAR_FRACTIONS}])")
_MIXED = re.compile(
    r"(?<![\d.,/])(?:(\d+)(?:\s|\s?-\s?))?(?<![\d/])(\d{1,4})/(\d{1,7})(?![\d/]|[.,]\d)"
    rf"(?:[\s-]?({_longest_first(_UNITS)})(?![\w/^']))?"
)
_PER = re.compile(
    r"\b([a-z]+)/(hrs?|hours?|h|day|week|wk|month|mo|year|yr|kg|person|min|minute|sec|second|lb|night|mile|km|unit|acre)\b"
)
_OUT_OF = re.compile(r"(?<=\.\d)/(?=\d)|(?<=\.\d\d)/(?=\d)")
_RANGE = re.compile(rf"(?<![\w/.,–-])(-?{NUMBER}%?)\s?[–-]\s?({NUMBER})(?![\d–/]|-\d|[,.]\d|[A-Za-z]*\d)")
_CHAIN = re.compile(r"(?<![\w.,])\d+(?:-\d+){2,}(?!\w)")
_ORDINAL = re.compile(r"(?<![\w.])(\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th|ST|ND|RD|TH)\b")
_UNIT = re.compile(
    rf"(?<![\w.,/])(?P<minus>-)?(?P<number>{NUMBER})(?:(?P<space>[\s-]?)(?P<unit>{_longest_first(_UNITS)})"
    rf"(?P<power>\^[23])?|(?P<close>{_longest_first(_CLOSE_UNITS)})|\s(?P<dotted>in|pt)(?=\.))(?![\w^']|-\d)(?P<dot>\.?)"
)
_CALIBER = re.compile(
    r"(?<![\w.])\.(2[25]|3[28]|357|4[045]|50)\b(?=[\s-]*[^\d\s%]|\s*$)(?![\s-]*(?:inch|mile|percent|second|per)\b)"
)
_DOTS = re.compile(r"(?<![\w.])\d+(?:\.\d+){2,}(?![\w.]*\d)")
_VERSION = re.compile(r"\b[vV](?:er)?\.?\s?(?=\d+(?:\.\d+)+\b)")
_TIMES = re.compile(rf"({NUMBER})\s?(?:x|X)\s?(?={NUMBER})")
_FOLD = re.compile(rf"({NUMBER})x\b")
_BARE_UNIT_POWER = re.compile(r"\b(km|cm|mm|ft|mi)\^([23])")
_POWER = re.compile(r"(?<=[\dA-Za-z)])\^(-?\d+)")
_LETTERS_DIGITS = re.compile(r"(?<![\w.])(?=\w*\d)(?=\w*[^\W\d_])[^\W_]+(?!\w)")
_RUNS = re.compile(r"\d+|[^\W\d_]+")
_PLAIN = re.compile(rf"(?<![\d])(?P<sign>(?<![\w)\]])[-+](?=[\d.]))?(?P<number>{NUMBER})(?P<letter>-[A-Z]\b)?")
_BEFORE = re.compile(r"([A-Za-z']+)[.,]?\s+(?:\w+\s+)?\(?$")
_WORD_BEFORE = re.compile(r"([A-Za-z']+)(\.?)[\s\"(]*$")
_WORD_AFTER = re.compile(r"[\s-]+([A-Za-z']+)")
_STREET_AFTER = re.compile(
    r"(?:\s(?:[NSEW]\.?|[A-Z][a-z]+|\w+(?:st|nd|rd|th))){1,3}?\s(?:Street|Avenue|Road|Drive|Boulevard|Lane|Court|Place|Way|"
    r"Highway|Parkway|Square|Terrace|St|Ave|Rd|Dr|Blvd|Ln)\b|\s(?:North|South|East|West)\s[A-Z]"
)
_ZIP_BEFORE = re.compile(r"\b[A-Z]{2},?\s$")
_MEASURED = frozenset(name for names in [*_UNITS.values(), *_SIGNS.values()] for name in names) | set(_SCALES.values())
_READ_IN_PAIRS = words("number_context", "pairs")
_READ_IN_DIGITS = words("number_context", "digits")
_YEAR_BEFORE = words("number_context", "year")
_COUNTED = words("number_context", "counted")
_NOT_COUNTED = words("number_context", "not_counted")


def speak_quantities(text: str) -> str:
    """Expands every number in a text whose dates and times are words already."""
    text = _LONG.sub(lambda match: f" {digits(match[0].replace(',', ''))} ", text) if len(text) > 21 else text
    text = _VANITY.sub(lambda match: f"one {pairs(int(match[1]))} ", text)
    text = _PHONE.sub(_phone, text)
    text = _MONEY_TO.sub(r"\1 to ", text)
    text = _MONEY.sub(_money, text)
    text = _MONEY_AFTER.sub(_money_after, text)
    text = _CODE_BEFORE.sub(_money_after, text)
    text = _FEET_INCHES.sub(lambda match: f"{cardinal(int(match[1]))} foot {decimal(match[2])}", text)
    text = _FEET_AND_INCHES.sub(r"\1 inches", text)
    text = _FEET.sub(r"\1 feet", text)
    text = _INCHES.sub(r"\1 inches", text)
    text = _PENCE.sub(r"\1 pence", text)
    text = _VULGAR.sub(_vulgar, text)
    text = _CHAIN.sub(lambda match: " ".join(decimal(part) for part in match[0].split("-")), text)
    text = _OUT_OF.sub(" out of ", text)
    text = _RANGE.sub(_range, text)
    text = _TIMES.sub(r"\1 by ", text)
    text = _FOLD.sub(r"\1 times", text)
    text = _ORDINAL.sub(lambda match: ordinal(int(match[1].replace(",", ""))), text)
    text = _CALIBER.sub(lambda match: cardinal(int(match[1])), text)
    text = _UNIT.sub(_unit, text)
    text = _PER.sub(_per, text)
    text = _MIXED.sub(_mixed, text)
    text = _VERSION.sub("version ", text)
    text = _DOTS.sub(_dots, text)
    text = _BARE_UNIT_POWER.sub(_bare_unit_power, text)
    text = _POWER.sub(_power, text)
    text = _LETTERS_DIGITS.sub(_letters_digits, text)
    return _PLAIN.sub(_plain, text)


def _phone(match: re.Match[str]) -> str:
    groups = re.findall(r"\d+", match[8]) if match[8] else [group for group in match.groups()[:7] if group]
    return ", ".join("eight hundred" if group == "800" else digits(group) for group in groups)


def _amount(number: str, one: str, many: str, small: tuple[str, str] | None) -> str:
    """Spells an amount of money; exactly two decimals are cents."""
    whole, point, cents = number.replace(",", "").partition(".")
    if small and small[1] and len(cents) == 2:
        coins = f"{cardinal(int(cents))} {small[0] if int(cents) == 1 else small[1]}"
        if not int(whole or 0) and int(cents):
            return coins
        notes = f"{cardinal(int(whole or 0))} {one if whole == '1' else many}"
        return f"{notes} and {coins}" if int(cents) else notes
    return f"{decimal(number)} {one if number == '1' else many}"


def _money(match: re.Match[str]) -> str:
    one, many, cent, cents = _SIGNS[match["sign"]]
    if match["prefix"]:
        one, many = f"{_PREFIXES[match['prefix']]} {one}", f"{_PREFIXES[match['prefix']]} {many}"
    scale = _SCALES.get(match["scale"].strip(), "")
    sign = "minus " if match["minus"] else ""
    before = _WORD_BEFORE.search(match.string[max(0, match.start() - 4) : match.start()])
    describes = match["hyphen"] or (
        before and before[1].lower() in ("a", "an") and re.match(r"\s[a-z]", match.string[match.end() :][:2])
    )
    if describes:  # "a $5 bill", "a $2 million-a-year deal"
        many, cents = one, cent
    tail = " " if match["hyphen"] else ""
    first, last = match["first"], match["last"]
    if last:
        low = _amount(first, one, many, (cent, cents)) if match["range"] and not scale else decimal(first)
        high = f"{decimal(last)} {scale} {many}" if scale else _amount(last, one, many, (cent, cents))
        return f"{sign}{low} to {high}{tail}"
    if scale:
        return f"{sign}{decimal(first)} {scale} {many}{tail}"
    return sign + _amount(first, one, many, (cent, cents)) + tail


def _money_after(match: re.Match[str]) -> str:
    sign = match.groupdict().get("sign")
    if sign == "¢":
        one, many, small = "cent", "cents", None
    elif sign:
        one, many, cent, cents = _SIGNS[sign]
        small = (cent, cents)
    else:
        one, many = _CODES[match["code"]]
        small = None
    scale = _SCALES.get(match["scale"].strip(), "")
    if scale:
        return f"{decimal(match['first'])} {scale} {many}"
    return _amount(match["first"], one, many, small)


def _fraction_after(whole: str | None, numerator: int, denominator: int) -> str:
    if whole is None:
        return fraction(numerator, denominator)
    part = fraction(numerator, denominator)
    return f"{decimal(whole)} and {'a' + part[3:] if numerator == 1 and denominator in (2, 4) else part}"


def _vulgar(match: re.Match[str]) -> str:
    numerator, denominator = unicodedata.normalize("NFKC", match[2]).split("⁄")
    if not denominator:  # the sign "⅟", which has no denominator
        return f"{match[1] or ''} {numerator} "
    before = " " if match.start() and match.string[match.start() - 1].isalnum() else ""
    return before + _fraction_after(match[1], int(numerator), int(denominator))


def _mixed(match: re.Match[str]) -> str:
    whole, top, bottom, unit = match.groups()
    if unit:
        one, many = _UNITS[unit]
        return f"{_fraction_after(whole, int(top), int(bottom))} {many if whole else one}"
    if whole is None and top == bottom:
        return f"{cardinal(int(top))} {'' if top == '50' else 'out of '}{cardinal(int(bottom))}"
    if (top, bottom) in (("24", "7"), ("9", "11")) and whole is None:
        return f"{cardinal(int(top))} {cardinal(int(bottom))}"
    return _fraction_after(whole, int(top), int(bottom))


def _range(match: re.Match[str]) -> str:
    joint = " " if (match[1], match[2]) == ("24", "7") else " to "
    return f"{match[1]}{joint}{match[2]}"


def _unit(match: re.Match[str]) -> str:
    number, unit = match["number"], match["unit"] or match["close"] or match["dotted"]
    one, many = _UNITS.get(unit) or _CLOSE_UNITS[unit]
    if unit in ("s", "m") and not match["space"] and unit == "s" and "." not in number:
        return match[0]  # "the 5s"
    if match["power"]:
        kind = "square " if match["power"] == "^2" else "cubic "
        one, many = (one + " squared", many + " squared") if " per " in one else (kind + one, kind + many)
    after = match.string[match.end() :]
    hyphenated = match["space"] == "-" or re.match(r"-[a-z]", after)
    name = one if number == "1" or (hyphenated and unit != "%") else many
    minus = "minus " if match["minus"] else ""
    # a full stop after an abbreviated unit ends the sentence only if a new sentence follows
    dot = match["dot"] if match["dot"] and re.match(r"\s*$|\s+[\"'(]*[A-Z]", after) else ""
    joint = "-" if match["space"] == "-" else " "
    return f"{minus}{decimal(number)}{joint}{name}{dot}"


def _per(match: re.Match[str]) -> str:
    """Expands a unit per another unit: "dollars/hr", "milligrams/kg"."""
    if match[1] not in _MEASURED:
        return match[0]
    return f"{match[1]} per {_UNITS.get(match[2], [match[2]])[0]}"


def _dots(match: re.Match[str]) -> str:
    parts = match[0].split(".")
    return (" dot " if len(parts) == 4 else " point ").join(decimal(part) for part in parts)


def _bare_unit_power(match: re.Match[str]) -> str:
    return f"{'square' if match[2] == '2' else 'cubic'} {_UNITS[match[1]][1]}"


def _power(match: re.Match[str]) -> str:
    power = int(match[1])
    return {2: " squared", 3: " cubed"}.get(power, f" to the power of {cardinal(power)}")


def _letters_digits(match: re.Match[str]) -> str:
    """Expands codes and names that mix letters and digits: C2766, B2B, MP3, 3D, F150, H2O."""
    spoken = []
    runs = _RUNS.findall(match[0])
    for run in runs:
        if not run.isdigit():
            letters = plain_letters(run)
            if letters in ("A", "a"):
                letters = "A."  # without the dot it would be the article
            elif len(letters) == 1 or not re.search("[aeiouyAEIOUY]", letters):
                letters = letters.upper()
            spoken.append(letters)
        elif len(run) > 3 or (run[0] == "0" and len(run) > 1):
            spoken.append(digits(run))
        else:
            spoken.append(pairs(int(run)))
    return " ".join(spoken)


def _plain(match: re.Match[str]) -> str:
    number, text = match["number"], match.string
    sign = {"-": "minus ", "+": "plus "}.get(match["sign"] or "", "")
    start, end = match.start(), match.end()
    glue_before = " " if start and text[start - 1].isalpha() else ""
    glue_after = " " if end < len(text) and text[end].isalpha() else ""
    letter = f" {match['letter'][1:]}" if match["letter"] else ""
    return f"{glue_before}{sign}{_in_context(number, text, start, end, bool(letter))}{letter}{glue_after}"


def _in_context(number: str, text: str, start: int, end: int, lettered: bool) -> str:
    if not number.isdigit() or number[0] == "0" or len(number) < 3:
        return decimal(number)
    value = int(number)
    left = text[max(0, start - 40) : start]
    match = _WORD_BEFORE.search(left)
    before = match[1].lower() if match else ""
    dialed = number in ("911", "999", "411", "112") and before in ("call", "called", "calling", "dial", "dialed")
    if dialed or before in _READ_IN_DIGITS or (len(number) == 5 and _ZIP_BEFORE.search(left)):
        return digits(number)
    if len(number) > 4:
        serial = before in ("number", "serial") and len(number) > 5
        return digits(number) if serial else decimal(number)
    right = text[end : end + 60]
    if lettered or before in _READ_IN_PAIRS or _STREET_AFTER.match(right):
        return pairs(value)
    following = _WORD_AFTER.match(right)
    after = following[1] if following else ""
    if len(number) == 3:
        ancient = before == "year" or (before == "in" and re.match(r",|\.|\s[A-Z]", right))
        return pairs(value) if ancient else cardinal(value)
    if not 1010 <= value <= 2099 and before != "year":
        return cardinal(value)
    if before in _YEAR_BEFORE or not after:
        return pairs(value)
    plural = after.islower() and after.endswith("s") and not after.endswith(("ss", "'s", "us"))
    counted = after in _COUNTED or (plural and after not in _NOT_COUNTED)
    return cardinal(value) if counted else pairs(value)
