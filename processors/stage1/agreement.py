"""The distance between two alignments of the same recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np

from text.symbols import is_pause
from utils.textgrid import Interval, TextGridError, read_phones

COMPARED = 200  # utterances: enough for three digits, and read in a fraction of a second
_FAR = 0.075  # s
_DIGITS = str.maketrans("", "", "0123456789")


def boundary_distances(first: Sequence[Interval], second: Sequence[Interval]) -> np.ndarray:
    """The delays of the boundaries of `second` against the same ones of `first`.

    Phones are matched without stress, and pauses are none. A boundary is where a matched phone begins, and also where
    it ends if a pause follows in both.

    Returns:
        [N], s.
    """
    one, two = ([interval for interval in intervals if not _is_pause(interval)] for intervals in (first, second))
    names, others = ([phone.label.upper().translate(_DIGITS) for phone in phones] for phones in (one, two))
    distances = []
    # autojunk would ignore the commonest phones of a long utterance
    for block in SequenceMatcher(None, names, others, autojunk=False).get_matching_blocks():
        for i, j in zip(range(block.a, block.a + block.size), range(block.b, block.b + block.size), strict=True):
            distances.append(two[j].start - one[i].start)
            if _pause_follows(one, i) and _pause_follows(two, j):
                distances.append(two[j].end - one[i].end)
    return np.array(distances)


def agreement(own: Mapping[str, Path], learned_dir: Path) -> dict[str, Any] | None:
    """Distances between TextGrids of the corpus and learned ones, over up to `COMPARED` utterances, evenly chosen.

    Args:
        own: utterance id -> the corpus's TextGrid.
        learned_dir: of the learned ones, `<utt_id>.TextGrid`.

    Returns:
        Absolute distances: mean and median in ms and the share beyond 75 ms, with the numbers of utterances and
        boundaries; None where nothing can be compared.
    """
    ids = sorted(own)
    ids = ids[:: -(-len(ids) // COMPARED)] if ids else []
    of_utterances = []
    for utt_id in ids:
        try:
            distances = boundary_distances(read_phones(own[utt_id]), read_phones(learned_dir / f"{utt_id}.TextGrid"))
        except (OSError, TextGridError):
            continue  # one of the two cannot be read: stage 1 reports it where it matters
        if len(distances):
            of_utterances.append(np.abs(distances))
    if not of_utterances:
        return None
    far = np.concatenate(of_utterances)
    return {
        "utterances": len(of_utterances),
        "boundaries": len(far),
        "mean_ms": round(float(far.mean()) * 1000, 2),
        "median_ms": round(float(np.median(far)) * 1000, 2),
        "beyond_75_ms": round(float((far > _FAR).mean()), 5),
    }


def _is_pause(interval: Interval) -> bool:
    return is_pause(interval.label.lower()) or interval.label.lower() == "<eps>"


def _pause_follows(phones: Sequence[Interval], index: int) -> bool:
    return index + 1 == len(phones) or phones[index + 1].start > phones[index].end
