"""The symbols that acoustic models see: padding, ARPAbet phones, pauses and punctuation marks."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence

PADDING = "_"

VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
CONSONANTS = (
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N"),
    *("NG", "P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z", "ZH"),
)
# Vowels come with a stress digit (0 none, 1 primary, 2 secondary) and bare, for aligners that drop stress.
PHONES: tuple[str, ...] = tuple(sorted([*VOWELS, *CONSONANTS, *(vowel + digit for vowel in VOWELS for digit in "012")]))

# "sp" is a pause where no mark is written; "spn" and "sil" are names that aligners use.
PAUSES = ("sp", "spn", "sil")

# One token for each mark that sounds different; "-" is any dash. The front end maps brackets to ","
# and an ellipsis to "." or "-", so that no token is too rare to be learned from a day of speech.
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
    """A symbol that a table lacks."""


class SymbolTable:
    """Symbols to ids; an id is the position in the list that is saved with every experiment."""

    def __init__(self, symbols: Sequence[str] = SYMBOLS) -> None:
        """Builds the table.

        Args:
            symbols: symbols in id order; the first is padding.

        Raises:
            ValueError: the list is empty or holds a symbol twice.
        """
        self.symbols = tuple(symbols)
        self._ids = {symbol: index for index, symbol in enumerate(self.symbols)}
        if not self.symbols:
            raise ValueError("the symbol table is empty")
        if len(self._ids) != len(self.symbols):
            twice = sorted({symbol for symbol in self.symbols if self.symbols.count(symbol) > 1})
            raise ValueError(f"symbols stand twice in the symbol table: {twice}")

    def __len__(self) -> int:
        return len(self.symbols)

    def ids(self, phones: Iterable[str]) -> list[int]:
        """The ids of symbols.

        Args:
            phones: symbols in any number.

        Returns:
            One id a symbol, in order.

        Raises:
            UnknownSymbolError: a symbol is not in the table; nothing is ever dropped.
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
    """Our tokens in the names of Amphion's table, where every written mark is the pause `@sp`.

    Args:
        phones: symbols of `SYMBOLS`.

    Returns:
        As many symbols of `AMPHION_SYMBOLS`.

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
