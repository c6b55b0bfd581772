"""The symbols of acoustic models: padding, ARPAbet phones, pauses and punctuation marks."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence

PADDING = "_"

VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
CONSONANTS = (
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N"),
    *("NG", "P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z", "ZH"),
)
# Vowels have a stress digit (0 none, 1 primary, 2 secondary) or none, for aligners that drop stress.
PHONES: tuple[str, ...] = tuple(sorted([*VOWELS, *CONSONANTS, *(vowel + digit for vowel in VOWELS for digit in "012")]))

# "sp" is a pause without a written mark; "spn" and "sil" are names that aligners use.
PAUSES = ("sp", "spn", "sil")

# One token per mark that sounds different; "-" is any dash. The front end maps brackets to "," and an ellipsis to "."
# or "-", because their own tokens would be too rare to be learned from a day of speech.
MARKS = (",", ".", "?", "!", ";", ":", "-")

SYMBOLS: tuple[str, ...] = (PADDING, *PHONES, *PAUSES, *MARKS)

# Amphion's table for its published FastSpeech2 models (egs/tts/FastSpeech2, commit d3de90f): id = index.
AMPHION_SYMBOLS: tuple[str, ...] = (
    *(PADDING, "-", "!", "'", "(", ")", ",", ".", ":", ";", "?", " "),
    *string.ascii_uppercase,
    *string.ascii_lowercase,
    *("@" + phone for phone in (*PHONES, "sp", "spn", "sil")),
)

_PHONE_SET = frozenset(PHONES)
_PAUSE_SET = frozenset(PAUSES)
_MARK_SET = frozenset(MARKS)


class UnknownSymbolError(ValueError):
    """A symbol that is not in a table."""


class SymbolTable:
    """A mapping of symbols to ids. An id is the position in the list that every experiment keeps a copy of."""

    def __init__(self, symbols: Sequence[str] = SYMBOLS) -> None:
        """Numbers the symbols.

        Args:
            symbols: symbols in the order of their ids; the first is padding.

        Raises:
            ValueError: the list is empty or has a symbol twice.
        """
        self.symbols = tuple(symbols)
        self._ids = {symbol: index for index, symbol in enumerate(self.symbols)}
        if not self.symbols:
            raise ValueError("the symbol table is empty")
        if len(self._ids) != len(self.symbols):
            duplicates = sorted({symbol for symbol in self.symbols if self.symbols.count(symbol) > 1})
            raise ValueError(f"duplicates in the symbol table: {duplicates}")

    def __len__(self) -> int:
        return len(self.symbols)

    def ids(self, phones: Iterable[str]) -> list[int]:
        """Returns the ids of symbols.

        Args:
            phones: any number of symbols.

        Returns:
            One id per symbol, in order.

        Raises:
            UnknownSymbolError: a symbol is not in the table; none is ever dropped.
        """
        phones = list(phones)
        try:
            return [self._ids[phone] for phone in phones]
        except KeyError as error:
            raise UnknownSymbolError(
                f"symbol {error.args[0]!r} is not among the {len(self)} symbols of this model (in: {' '.join(phones)})"
            ) from None


def is_phone(symbol: str) -> bool:
    """Whether a symbol is an ARPAbet phone, with or without stress."""
    return symbol in _PHONE_SET


def is_pause(symbol: str) -> bool:
    """Whether a symbol, or an empty TextGrid label, is a pause."""
    return not symbol or symbol in _PAUSE_SET


def is_mark(symbol: str) -> bool:
    """Whether a symbol is a punctuation token."""
    return symbol in _MARK_SET


def amphion_symbols(phones: Iterable[str]) -> list[str]:
    """Translates tokens to Amphion's table, in which every mark is the pause `@sp`.

    Args:
        phones: symbols of `SYMBOLS`.

    Returns:
        The same number of symbols of `AMPHION_SYMBOLS`.

    Raises:
        UnknownSymbolError: a symbol has no counterpart.
    """
    mapped = []
    for phone in phones:
        if phone in _PHONE_SET or phone in _PAUSE_SET:
            mapped.append("@" + phone)
        elif phone in _MARK_SET:
            mapped.append("@sp")
        elif phone == PADDING:
            mapped.append(PADDING)
        else:
            raise UnknownSymbolError(f"symbol {phone!r} has no counterpart in Amphion's symbol table")
    return mapped
