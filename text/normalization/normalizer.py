"""The normalizer: written English to English as it is read aloud, with numbers, signs and abbreviations in words."""

from __future__ import annotations

import re

from text.normalization.abbreviations import expand_abbreviations, expand_roman
from text.normalization.characters import clean
from text.normalization.dates import speak_dates
from text.normalization.links import speak_links, speak_signs, speak_slashes
from text.normalization.quantities import speak_quantities

# Phones in braces, `{R EH1 D}`: capitals with at most one digit. Anything else in braces is text.
INLINE_PHONES = re.compile(r"\{\s*[A-Z]{1,3}\d?(?:\s+[A-Z]{1,3}\d?)*\s*\}")

_DIGIT = re.compile(r"\d")
_PLAIN = re.compile(r"[A-Za-z ,;:?!'\"()\[\]—–-]*\.?\Z")
_EMOTICON = re.compile(r"(?<!\S)[:;]['-]?[()DPp](?!\S)")
_PERCENT = re.compile(r"\s?%")
_UNSPOKEN = re.compile(r"[^\w\s,.?!;:'\"()\[\]–—-]+|[_\d]+")
_SPACES = re.compile(r"\s+")
_SPACE_BEFORE_MARK = re.compile(r"(?<=\w) (?=[,;:?!](?:\s|$))")
_SPACE_AFTER_BRACE = re.compile(r"(?<=\}) (?=[,.;:?!)])")
_CAPITALS_WITH_ROMAN = re.compile(r"\b(?:WW)?[IVXLCDM]+\b|\bWW[12]\b|\b[ivxl]+\b")
_MAX_ROUNDS = 6


def normalize(text: str) -> tuple[str, list[str]]:
    """Normalizes a text; normalizing the result a second time changes nothing.

    Args:
        text: one sentence or more. Phones in braces are kept.

    Returns:
        The text in Latin letters, marks and inline phones.
        The characters that were dropped.
    """
    cleaned, dropped = clean(text)
    for _ in range(_MAX_ROUNDS):
        spoken = clean(_round(cleaned))[0]
        if spoken == cleaned:  # a pass may write what the next one expands: "5 St. James"
            break
        cleaned = spoken
    return cleaned, dropped


def _round(text: str) -> str:
    if "{" not in text:
        return _normalize_stretch(text)
    pieces = []
    start = 0
    for match in INLINE_PHONES.finditer(text):
        pieces.append(_normalize_stretch(text[start : match.start()]))
        pieces.append("{" + " ".join(match[0][1:-1].split()) + "}")
        start = match.end()
    pieces.append(_normalize_stretch(text[start:]))
    return _SPACE_AFTER_BRACE.sub("", " ".join(piece for piece in pieces if piece))


def _normalize_stretch(text: str) -> str:
    text = _EMOTICON.sub("", text)
    if not _PLAIN.match(text):
        text = speak_links(text)
        text = speak_signs(text)
    text = expand_abbreviations(text)
    if _CAPITALS_WITH_ROMAN.search(text):
        text = expand_roman(text)
    if not text.isascii() or _DIGIT.search(text):
        text = speak_dates(text)
        text = speak_quantities(text)
    text = speak_slashes(text)
    text = _PERCENT.sub(" percent", text)
    text = _UNSPOKEN.sub(" ", text)
    return _SPACE_BEFORE_MARK.sub("", _SPACES.sub(" ", text).strip())
