"""Distances between two alignments of the same recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np

from text.symbols import is_pause
from utils.textgrid import Interval, TextGridError, read_phones

COMPARED = 200  # utterances; enough for three digits, and read in a fraction of a second
_FAR = 0.075  # s
_DIGITS = str.maketrans("", "", "0123456789")


def boundary_distances(first: Sequence[Interval], second: Sequence[Interval]) -> np.ndarray:
    """Computes the delays of boundaries in `second` relative to the same boundaries in `first`.

    Phones are matched without stress; pauses are ignored. Every start of a matched phone is a boundary, and so is its
    end if a pause follows in both.

    Args:
        first: intervals of the phone tier.
        second: those of the other alignment.

    Returns:
        float [N], s.
    """
    first_phones, second_phones = (
        [interval for interval in intervals if not _is_pause(interval)] for intervals in (first, second)
    )
    first_names, second_names = (
        [phone.label.upper().translate(_DIGITS) for phone in phones] for phones in (first_phones, second_phones)
    )
    distances = []
    # autojunk would ignore the most frequent phones of a long utterance
    for block in SequenceMatcher(None, first_names, second_names, autojunk=False).get_matching_blocks():
        for i, j in zip(range(block.a, block.a + block.size), range(block.b, block.b + block.size), strict=True):
            distances.append(second_phones[j].start - first_phones[i].start)
            if _pause_follows(first_phones, i) and _pause_follows(second_phones, j):
                distances.append(second_phones[j].end - first_phones[i].end)
    return np.array(distances)


def agreement(textgrids: Mapping[str, Path], learned_dir: Path) -> dict[str, Any] | None:
    """Compares the TextGrids of a corpus with learned ones, on up to `COMPARED` evenly spaced utterances.

    Args:
        textgrids: utterance id -> TextGrid of the corpus.
        learned_dir: folder of the learned ones, `<utt_id>.TextGrid`.

    Returns:
        Absolute distances: mean and median in ms, and the share above 75 ms, with the numbers of utterances and
        boundaries. None if nothing can be compared.
    """
    ids = sorted(textgrids)
    ids = ids[:: -(-len(ids) // COMPARED)] if ids else []
    per_utterance = []
    for utt_id in ids:
        try:
            distances = boundary_distances(
                read_phones(textgrids[utt_id]), read_phones(learned_dir / f"{utt_id}.TextGrid")
            )
        except (OSError, TextGridError):
            continue  # a TextGrid cannot be read; stage 1 reports it if it is used
        if len(distances):
            per_utterance.append(np.abs(distances))
    if not per_utterance:
        return None
    absolute = np.concatenate(per_utterance)
    return {
        "utterances": len(per_utterance),
        "boundaries": len(absolute),
        "mean_ms": round(float(absolute.mean()) * 1000, 2),
        "median_ms": round(float(np.median(absolute)) * 1000, 2),
        "beyond_75_ms": round(float((absolute > _FAR).mean()), 5),
    }


def _is_pause(interval: Interval) -> bool:
    return is_pause(interval.label.lower()) or interval.label.lower() == "<eps>"


def _pause_follows(phones: Sequence[Interval], index: int) -> bool:
    return index + 1 == len(phones) or phones[index + 1].start > phones[index].end
