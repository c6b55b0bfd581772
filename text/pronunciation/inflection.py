"""The phones of words that are missing in CMUdict but derived from known words: endings, prefixes, compounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from text.symbols import VOWELS

Lookup = Callable[[str], "list[str] | None"]

_HISSING = frozenset(("S", "Z", "SH", "ZH", "CH", "JH"))
_VOICELESS = frozenset(("P", "T", "K", "F", "TH", "S", "SH", "CH"))
_CONTRACTIONS = {"'ll": ["AH0", "L"], "'ve": ["AH0", "V"], "'re": ["ER0"], "'m": ["M"]}
_SUFFIXES = {
    **{"ly": "L IY0", "ness": "N AH0 S", "less": "L AH0 S", "ful": "F AH0 L", "ment": "M AH0 N T", "er": "ER0"},
    **{"est": "AH0 S T", "ish": "IH0 SH", "able": "AH0 B AH0 L", "ship": "SH IH2 P", "like": "L AY2 K"},
    **{"wise": "W AY2 Z", "ward": "W ER0 D", "hood": "HH UH2 D", "dom": "D AH0 M", "ism": "IH2 Z AH0 M"},
    **{
        "ist": "IH0 S T",
        "ing": "IH0 NG",
        "y": "IY0",
        "lessness": "L AH0 S N AH0 S",
        "man": "M AH0 N",
        "men": "M IH0 N",
    },
}
_PREFIXES = {
    **{"un": "AH0 N", "re": "R IY0", "non": "N AA0 N", "pre": "P R IY0", "mis": "M IH0 S", "dis": "D IH0 S"},
    **{"anti": "AE2 N T IY0", "semi": "S EH2 M IY0", "bio": "B AY2 OW0", "geo": "JH IY2 OW0", "neo": "N IY2 OW0"},
}
_SHORTEST_PART = 4  # letters of a compound's part; with 3, half of all words would be split into CMUdict's rare names


def inflected(word: str, lookup: Lookup) -> list[str] | None:
    """Returns the phones of a possessive, contraction, plural, past tense or other form of a known word, or None.

    Args:
        word: lower-case letters and apostrophes.
        lookup: returns the phones of a known word, or None.
    """
    stem, apostrophe, ending = word.rpartition("'")
    if apostrophe:
        return _contracted(stem, apostrophe + ending, lookup)
    for base in _plural_bases(word):
        phones = lookup(base)
        if phones:
            return phones + s_ending(phones)
    for base in _bases(word, "ed"):
        phones = lookup(base)
        if phones:
            return phones + _d_ending(phones)
    for suffix, sound in _SUFFIXES.items():
        for base in _bases(word, suffix):
            phones = lookup(base)
            if phones:
                added = sound.split()
                # "capitally", "keenness": one long consonant, not two
                return phones + (added[1:] if added[0] == phones[-1] else added)
    for prefix, sound in _PREFIXES.items():
        rest = word.removeprefix(prefix)
        if rest != word and len(rest) >= _SHORTEST_PART:
            phones = lookup(rest) or _simple(rest, lookup)
            if phones:
                return sound.split() + phones
    return None


def _simple(word: str, lookup: Lookup) -> list[str] | None:
    for base in _bases(word, "ed"):
        phones = lookup(base)
        if phones:
            return phones + _d_ending(phones)
    return None


def _contracted(stem: str, ending: str, lookup: Lookup) -> list[str] | None:
    if ending == "'":
        return lookup(stem) or (lookup(stem + "g") if stem.endswith("in") else None)
    phones = lookup(stem) or inflected(stem, lookup)
    if not phones:
        return None
    if ending == "'s":
        return phones + s_ending(phones)
    if ending == "'d":
        return phones + _d_ending(phones)
    if ending == "'t" and stem.endswith("n"):
        return phones + ["T"]
    return phones + _CONTRACTIONS[ending] if ending in _CONTRACTIONS else None


def s_ending(phones: list[str]) -> list[str]:
    """Returns the phones of a plural or possessive s after these phones."""
    if phones[-1] in _HISSING:
        return ["IH0", "Z"]
    return ["S"] if phones[-1] in _VOICELESS else ["Z"]


def _d_ending(phones: list[str]) -> list[str]:
    if phones[-1] in ("T", "D"):
        return ["IH0", "D"]
    return ["T"] if phones[-1] in _VOICELESS else ["D"]


def _plural_bases(word: str) -> Iterator[str]:
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        if word.endswith("ies"):
            yield word[:-3] + "y"
        if word.endswith("es"):
            yield word[:-2]
        yield word[:-1]


def _bases(word: str, suffix: str) -> Iterator[str]:
    """Yields the possible spellings of a word without its ending: "stopped", "loved", "tried", "walked"."""
    stem = word.removesuffix(suffix)
    if stem == word or len(stem) < 3:
        return
    yield stem
    if suffix[0] in "aeiy":
        yield stem + "e"
        if len(stem) > 3 and stem[-1] == stem[-2]:
            yield stem[:-1]
    if stem.endswith("i"):
        yield stem[:-1] + "y"


def compound(word: str, lookup: Lookup) -> list[str] | None:
    """Returns the phones of two known words written as one, such as "roominghouse", or None.

    Of several splits, the one nearest to the middle is used.

    Args:
        word: lower-case letters.
        lookup: returns the phones of a known word, or None.
    """
    middle = len(word) / 2
    cuts = sorted(range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1), key=lambda cut: abs(cut - middle))
    for cut in cuts:
        first = lookup(word[:cut])
        second = first and (lookup(word[cut:]) or inflected_end(word[cut:], lookup))
        if first and second:
            return first + [phone.replace("1", "2") if phone[:2] in VOWELS else phone for phone in second]
    return None


def inflected_end(word: str, lookup: Lookup) -> list[str] | None:
    """Returns the phones of a plural that is the second part of a compound, or None."""
    for base in _plural_bases(word):
        phones = lookup(base) if len(base) >= _SHORTEST_PART else None
        if phones:
            return phones + s_ending(phones)
    return None
