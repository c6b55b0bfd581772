"""Any Unicode text to the characters that the normalizer knows."""

from __future__ import annotations

import re
import unicodedata

_DROPPED = "\x00"
VULGAR_FRACTIONS = "".join(
    character for character in map(chr, range(0xBC, 0x218A)) if "<fraction>" in unicodedata.decomposition(character)
)
_KEPT = set("°£€¥₹₩₽₿¢‰Ω–—" + VULGAR_FRACTIONS)
_REPLACED = {
    **dict.fromkeys("‘’‚‛ʼ′´`ʹʻ＇", "'"),
    **dict.fromkeys("“”„‟«»‹›″〝〞＂", '"'),
    **dict.fromkeys("‐‑⁃−﹣－", "-"),
    **dict.fromkeys("‒–", "–"),
    **dict.fromkeys("―—⸺⸻", "—"),
    **dict.fromkeys("•·‧●▪◦■□▶►|", ", "),
    **dict.fromkeys("®™℠†‡¡¿⁄", ""),
    **{
        "…": "...",
        "⋯": "...",
        "×": " times ",
        "÷": " divided by ",
        "±": " plus or minus ",
        "≈": " about ",
        "≠": " is not ",
    },
    **{"≤": " at most ", "≥": " at least ", "∞": " infinity ", "√": " square root of ", "§": " section "},
    **{"¶": " paragraph ", "©": " copyright ", "№": "No. ", "µ": "μ", "、": ", ", "。": ". "},
}
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma sigma tau"
    " upsilon phi chi psi omega"
)
GREEK_NAMES = {chr(0x3B1 + index): name for index, name in enumerate(_GREEK.split())}
_GREEK_RUN = re.compile(r"[Α-Ωα-ω]+")
_UNIT_BEFORE = re.compile(r"\d\s?k?$")
_UNIT_AFTER = {"μ": re.compile(r"[mgs]\b"), "Ω": re.compile(r"\b|$")}  # micrometers and ohms
# Letters that do not decompose into a plain letter and an accent.
_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "th", "þ": "th", "ı": "i", "ŋ": "ng", "ſ": "s"}
    | {"Æ": "AE", "Œ": "OE", "Ø": "O", "Ł": "L", "Đ": "D", "Ð": "Th", "Þ": "Th", "ẞ": "SS", "Ŋ": "NG"}
)


class _Table(dict[int, str]):
    """A table for `str.translate` that computes the entry of a character when it is first needed."""

    def __missing__(self, code: int) -> str:
        self[code] = result = _translate(chr(code))
        return result


def _translate(character: str) -> str:
    if character in _REPLACED:
        return _REPLACED[character]
    if character in _KEPT:
        return character
    category = unicodedata.category(character)
    if character in "\n\t\r" or category[0] == "Z" or category == "Cc":
        return "\n" if character in "\n\r\u2028\u2029" else " "
    if character.isascii() or character.lower() in GREEK_NAMES:
        return character
    if category in ("Cf", "Mn", "Me"):  # joiners, variation selectors, accents without a letter
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    plain = unicodedata.normalize("NFKC", character)
    if "<super>" in unicodedata.decomposition(character) and plain.isdigit():
        return "^" + plain
    if plain.isascii():  # full-width letters, ligatures, circled digits, Roman numeral signs
        return plain.replace("\x00", "")
    if category[0] == "L" and unicodedata.name(character, "").startswith("LATIN "):
        return character if plain == character else "".join(map(_translate, plain))
    return _DROPPED


_TABLE = _Table()


def clean(text: str) -> tuple[str, list[str]]:
    """Maps a text onto Latin letters, digits and a few dozen signs.

    Args:
        text: any string, lone surrogates included.

    Returns:
        The text, with one spelling for each kind of quote, dash, space and digit.
        The characters that were dropped because they have no English name (emoji, other scripts), each once, in order.
    """
    if text.isascii() and text.isprintable() and "`" not in text and "|" not in text:
        return text, []
    text = unicodedata.normalize("NFC", text)
    mapped = text.translate(_TABLE)
    dropped: list[str] = []
    if _DROPPED in mapped:
        dropped = list(dict.fromkeys(character for character in text if _TABLE[ord(character)] == _DROPPED))
        mapped = mapped.replace(_DROPPED, " ")
    if _GREEK_RUN.search(mapped):
        mapped, greek = _name_greek(mapped)
        dropped += greek
    return re.sub(r"\^\d(?:\^\d)+", lambda match: "^" + match.group().replace("^", ""), mapped), dropped


def _name_greek(text: str) -> tuple[str, list[str]]:
    """Replaces single Greek letters, as in formulas, with their names; Greek words are dropped like other scripts."""
    dropped: list[str] = []

    def name(match: re.Match[str]) -> str:
        letters = match.group()
        if len(letters) > 1:
            dropped.extend(dict.fromkeys(letters))
            return " "
        before, after = match.string[max(0, match.start() - 3) : match.start()], match.string[match.end() :][:2]
        if letters in "μΩ" and _UNIT_BEFORE.search(before) and _UNIT_AFTER[letters].match(after):
            return letters
        return f" {GREEK_NAMES[letters.lower()]} "

    return _GREEK_RUN.sub(name, text), dropped


def plain_letters(word: str) -> str:
    """Removes the accents of a word: "Zoë" becomes "Zoe", "straße" becomes "strasse"."""
    if word.isascii():
        return word
    decomposed = unicodedata.normalize("NFD", word.translate(_LETTERS))
    return "".join(character for character in decomposed if character.isascii())
