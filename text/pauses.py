"""Marks of the text onto pauses of the speech, so that training sees the tokens that inference will see."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from text.symbols import is_mark, is_pause

_DIGITS = str.maketrans("", "", "0123456789")


def place_marks(spoken: Sequence[str], written: Sequence[str]) -> list[tuple[str, int | None]]:
    """Merges the phones of an alignment with the marks of the text that was read.

    The two need not agree: an aligner's dictionary may differ from the front end, lack stress, know a word as "spn"
    only. Phones are matched without stress; a mark may take any pause of the stretch that it can be in.

    Args:
        spoken: the labels of a TextGrid's phones tier in order; "", "sp", "sil" and "spn" are pauses.
        written: the front end's tokens for the same text: phones and marks.

    Returns:
        Tokens in order, each with its index in `spoken`. Every label of `spoken` is there once: phones as they are,
        a pause under the name of the mark that is written there, else "sp" ("spn" stays, it stands for a word).
        A mark without a pause has the index None: it lasts no frame.
    """
    spoken_at = [index for index, label in enumerate(spoken) if not is_pause(label)]
    # A pause is before the spoken phone of its position; several may share one position.
    pauses: dict[int, list[int]] = {}
    position = 0
    for index, label in enumerate(spoken):
        if is_pause(label):
            pauses.setdefault(position, []).append(index)
        else:
            position += 1

    written_phones = [token for token in written if not is_mark(token) and not is_pause(token)]
    low, high, guess = _boundaries([spoken[index] for index in spoken_at], written_phones)

    taken: dict[int, str] = {}  # index of a pause in spoken -> mark
    silent: dict[int, list[str]] = {}  # spoken position -> marks that nobody heard
    floor = (-1, -1)  # position and spoken index of the last placed mark: marks keep their order
    boundary = 0
    for token in written:
        if is_pause(token):
            continue
        if not is_mark(token):
            boundary += 1
            continue
        free = [
            (spoken[index] == "spn", abs(at - guess[boundary]), at, index)
            for at in range(max(low[boundary], floor[0]), high[boundary] + 1)
            for index in pauses.get(at, ())
            if index > floor[1]
        ]
        if free:
            _, _, at, index = min(free)
            taken[index] = token
            floor = (at, index)
        else:
            at = max(guess[boundary], floor[0])
            silent.setdefault(at, []).append(token)
            # No pause of this position may follow: a later mark would then overtake this one.
            floor = (at, max([floor[1], *pauses.get(at, ())]))

    placed: list[tuple[str, int | None]] = []
    position = 0
    for index, label in enumerate(spoken):
        if is_pause(label):
            placed.append((taken.get(index, "spn" if label == "spn" else "sp"), index))
            continue
        placed += [(mark, None) for mark in silent.get(position, ())]
        placed.append((label, index))
        position += 1
    placed += [(mark, None) for mark in silent.get(position, ())]
    return placed


def _boundaries(spoken: list[str], written: list[str]) -> tuple[list[int], list[int], list[int]]:
    """For each boundary before, between and after written phones: first, last and likeliest spoken position."""
    first = [phone.translate(_DIGITS).upper() for phone in written]
    second = [phone.translate(_DIGITS).upper() for phone in spoken]
    if first == second:
        same = list(range(len(first) + 1))
        return same, same, same
    low, high, guess = [0] * (len(first) + 1), [0] * (len(first) + 1), [0] * (len(first) + 1)
    # autojunk would ignore the commonest phones of a long utterance
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        for i in range(i1, i2 + 1):
            if kind == "equal":
                spans = (j1 + i - i1, j1 + i - i1, j1 + i - i1)
            else:
                share = (i - i1) / (i2 - i1) if i2 > i1 else 1.0
                spans = (j1, j2, j1 + round(share * (j2 - j1)))
            if i == i1 and i1 > 0:  # this boundary also ends the stretch before: it may belong to either
                low[i], high[i] = min(low[i], spans[0]), max(high[i], spans[1])
            else:
                low[i], high[i], guess[i] = spans
    return low, high, guess
