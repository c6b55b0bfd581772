"""The names of letters, and rules for words in capitals that are spelled out."""

from __future__ import annotations

from text.pronunciation.lexicon import cmudict, cmudict_phones
from text.tables import words

LETTER_PHONES: dict[str, str] = {
    **{"a": "EY1", "b": "B IY1", "c": "S IY1", "d": "D IY1", "e": "IY1", "f": "EH1 F", "g": "JH IY1", "h": "EY1 CH"},
    **{"i": "AY1", "j": "JH EY1", "k": "K EY1", "l": "EH1 L", "m": "EH1 M", "n": "EH1 N", "o": "OW1", "p": "P IY1"},
    **{"q": "K Y UW1", "r": "AA1 R", "s": "EH1 S", "t": "T IY1", "u": "Y UW1", "v": "V IY1"},
    **{"w": "D AH1 B AH0 L Y UW0", "x": "EH1 K S", "y": "W AY1", "z": "Z IY1"},
}
_WORDS = words("spelling", "words")
_SPOKEN = words("spelling", "spoken")
_SPELLED = words("spelling", "spelled")
LETTER_BEFORE = words("spelling", "letter_before")


def spell(letters: str) -> list[str]:
    """Returns the phones of letter names; the last one has the primary stress, as in "F B I"."""
    phones: list[str] = []
    known = [letter for letter in letters.lower() if letter in LETTER_PHONES]
    for position, letter in enumerate(known):
        name = LETTER_PHONES[letter]
        phones += (name if position == len(known) - 1 else name.replace("1", "2")).split()
    return phones


def is_spelled(word: str) -> bool:
    """Whether a word in capitals, in a text that is not all in capitals, is read letter by letter.

    Args:
        word: two or more capital letters.
    """
    lower = word.lower()
    if lower in _SPELLED:
        return True
    if lower in _SPOKEN or lower in _WORDS:
        return False
    entry = cmudict_phones(lower)
    if entry is not None:
        # CMUdict has initialisms too, such as "fbi". Of the other words, short ones are more likely initialisms.
        as_letters = [phone.rstrip("012") for phone in entry] == [phone.rstrip("012") for phone in spell(lower)]
        return not as_letters and len(lower) <= 3
    vowels = sum(letter in "aeiouy" for letter in lower)
    return len(lower) <= 4 or vowels * 5 < len(lower)


def has_no_vowel(word: str) -> bool:
    """Whether a word has no vowel and is not in CMUdict, so that it must be spelled: "pqr", but not "html" or "xyz"."""
    return not any(letter in "aeiouy" for letter in word) and word not in cmudict()
