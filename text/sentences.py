"""The sentence splitter: long texts to pieces that a model can speak in one pass."""

from __future__ import annotations

import re
from collections.abc import Iterator

from text.tables import words

# A mark that may end a sentence, with closing quotes and brackets, before white space; or an empty line.
_END = re.compile(r"""[.?!…]+["'”’»)\]}]*(?=\s)|\n[^\S\n]*\n""")
_BEFORE = re.compile(r"[^\s(\[\"“‘]+$")
_NEXT_WORD = re.compile(r"""[\s"'“‘«(\[{*_-]*([^\W\d_]+|\d|$)""")

_NEVER = words("sentence_words", "never")
_EITHER = words("sentence_words", "either")
SENTENCE_STARTERS = words("sentence_words", "starters")
_ENDING = re.compile(r"""[,;:—–)\]"”]['"”’)\]]*(?=\s)|—|--|\s""")


def split_sentences(text: str, max_chars: int = 300) -> list[str]:
    """Splits a text at sentence ends, and sentences that are too long at commas, then at spaces.

    Abbreviations, initials, decimals and phones in braces are not split. The time is linear in the length of the text.

    Args:
        text: any text; an empty line ends a sentence too.
        max_chars: length of the longest piece, in characters. A longer word is cut anywhere.

    Returns:
        Pieces that joined give the text: each keeps the white space that follows it. White space and stray marks are
        joined to a neighboring piece if they fit, so that only a text without words has a piece without words.

    Raises:
        ValueError: max_chars is below 1.
    """
    if max_chars < 1:
        raise ValueError(f"max_chars must be at least 1, got {max_chars}")
    pieces: list[str] = []
    for sentence in _sentences(text):
        for piece in _shorten(sentence, max_chars):
            silent = pieces and (not _speaks(piece) or not _speaks(pieces[-1]))
            if silent and len(pieces[-1]) + len(piece) <= max_chars:
                pieces[-1] += piece
            else:
                pieces.append(piece)
    return pieces


def is_sentence_end(before: str, after: str) -> bool:
    """Whether the full stop after a word ends a sentence.

    Args:
        before: the word before the full stop, without it.
        after: what follows the white space after the full stop; only its first word counts.
    """
    if after[:1] in (",", ";", ":"):  # "at 9 a.m., and": the full stop is the abbreviation's
        return False
    following = _NEXT_WORD.match(after)
    word = following.group(1) if following else ""
    if not word:
        return True
    if word[0].islower():
        return False
    bare = before.lower().rstrip(".")
    if bare in _NEVER:
        return False
    if len(word) == 1 and word.isupper() and after.lstrip("\"'([ ").startswith(word + "."):
        return False  # another initial
    initial = len(bare) == 1 and before[:1].isupper()
    if initial or bare in _EITHER or re.fullmatch(r"(?:[^\W\d_]\.)+[^\W\d_]", bare):
        return word.lower() in SENTENCE_STARTERS and word[0].isupper() and not (initial and bare == "i")
    return True


def _speaks(piece: str) -> bool:
    return any(character.isalnum() for character in piece)


def _sentences(text: str) -> Iterator[str]:
    start = 0
    for match in _END.finditer(text):
        end = match.end()
        mark = match.group()
        if mark.rstrip("\"'”’»)]}") == ".":
            before = _BEFORE.search(text[max(start, match.start() - 40) : match.start()])
            if not is_sentence_end(before.group() if before else "", text[end : end + 60].lstrip()):
                continue
        elif mark[0] in "?!…." and _lower_follows(text, end):
            continue
        while end < len(text) and text[end].isspace():
            end += 1
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


def _lower_follows(text: str, end: int) -> bool:
    following = _NEXT_WORD.match(text[end : end + 60])
    return bool(following and following.group(1) and following.group(1)[0].islower())


def _shorten(sentence: str, max_chars: int) -> Iterator[str]:
    """Cuts a sentence at the last mark, else at the last space, of every max_chars characters."""
    start = 0
    while len(sentence) - start > max_chars:
        window = sentence[start : start + max_chars]
        brace = window.rfind("{")
        if brace > 0 and "}" not in window[brace:]:
            window = window[:brace]
        mark_end = space_end = 0
        for match in _ENDING.finditer(window):
            end = match.end()
            if match.group().isspace():
                space_end = end
            elif end > len(window) // 3:  # a tiny first piece would sound chopped
                mark_end = end
        cut = mark_end or space_end or len(window)
        while cut < len(window) and window[cut].isspace():
            cut += 1
        yield sentence[start : start + cut]
        start += cut
    if start < len(sentence):
        yield sentence[start:]
