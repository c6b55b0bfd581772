"""Punctuation marks matched to the pauses of an alignment: training sees the same kind of tokens as inference."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from text.symbols import is_mark, is_pause

_DIGITS = str.maketrans("", "", "0123456789")


def place_marks(spoken: Sequence[str], written: Sequence[str]) -> list[tuple[str, int | None]]:
    """Merges the phones of an alignment with the marks of its text.

    The two need not agree: an aligner's dictionary may differ from the front end, lack stress, or have only "spn" for
    a word. Phones are matched without stress. Where they differ, a mark may take any pause of the differing stretch.

    Args:
        spoken: labels of a TextGrid's phones tier, in order; "", "sp", "sil" and "spn" are pauses.
        written: the front end's tokens for the same text: phones and marks.

    Returns:
        Tokens in order, each with its index in `spoken`. Every label of `spoken` appears once: a phone unchanged, a
        pause as the mark that is written there, else as "sp" ("spn" stays, because it represents a word). A mark
        without a pause has the index None: it has no frames.
    """
    phone_indices = [index for index, label in enumerate(spoken) if not is_pause(label)]
    pauses: dict[int, list[int]] = {}  # index of the spoken phone that follows -> indices of pauses in spoken
    position = 0
    for index, label in enumerate(spoken):
        if is_pause(label):
            pauses.setdefault(position, []).append(index)
        else:
            position += 1

    written_phones = [token for token in written if not is_mark(token) and not is_pause(token)]
    low, high, guess = _boundaries([spoken[index] for index in phone_indices], written_phones)

    marked: dict[int, str] = {}  # index of a pause in spoken -> its mark
    silent: dict[int, list[str]] = {}  # spoken position -> marks without a pause
    floor = (-1, -1)  # position and spoken index of the last placed mark: marks keep their order
    boundary = 0
    for token in written:
        if is_pause(token):
            continue
        if not is_mark(token):
            boundary += 1
            continue
        free = [
            (spoken[index] == "spn", abs(position - guess[boundary]), position, index)
            for position in range(max(low[boundary], floor[0]), high[boundary] + 1)
            for index in pauses.get(position, ())
            if index > floor[1]
        ]
        if free:
            _, _, position, index = min(free)
            marked[index] = token
            floor = (position, index)
        else:
            position = max(guess[boundary], floor[0])
            silent.setdefault(position, []).append(token)
            # Later marks may not take a pause of this position: they would come before this mark.
            floor = (position, max([floor[1], *pauses.get(position, ())]))

    placed: list[tuple[str, int | None]] = []
    position = 0
    for index, label in enumerate(spoken):
        if is_pause(label):
            placed.append((marked.get(index, "spn" if label == "spn" else "sp"), index))
            continue
        placed += [(mark, None) for mark in silent.get(position, ())]
        placed.append((label, index))
        position += 1
    placed += [(mark, None) for mark in silent.get(position, ())]
    return placed


def _boundaries(spoken: list[str], written: list[str]) -> tuple[list[int], list[int], list[int]]:
    """Returns the first, last and likeliest spoken position of every boundary between written phones, ends included."""
    written = [phone.translate(_DIGITS).upper() for phone in written]
    spoken = [phone.translate(_DIGITS).upper() for phone in spoken]
    count = len(written) + 1
    if written == spoken:
        positions = list(range(count))
        return positions, positions, positions
    low, high, guess = [0] * count, [0] * count, [0] * count
    # autojunk would ignore the most frequent phones of a long utterance
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, written, spoken, autojunk=False).get_opcodes():
        for i in range(i1, i2 + 1):
            if kind == "equal":
                spans = (j1 + i - i1, j1 + i - i1, j1 + i - i1)
            else:
                share = (i - i1) / (i2 - i1) if i2 > i1 else 1.0
                spans = (j1, j2, j1 + round(share * (j2 - j1)))
            if i == i1 and i1 > 0:  # the boundary also ends the previous stretch and may belong to either
                low[i], high[i] = min(low[i], spans[0]), max(high[i], spans[1])
            else:
                low[i], high[i], guess[i] = spans
    return low, high, guess
