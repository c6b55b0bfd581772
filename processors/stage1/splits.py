"""Training, validation and test sets: by a hash of each id, so that a new clip moves no other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

GOLDEN_SIZE = 10


class Splits(NamedTuple):
    """Utterance ids, sorted. The first three are disjoint; golden_test is a part of test."""

    train: list[str]
    valid: list[str]
    test: list[str]
    golden_test: list[str]


def split(utt_ids: Iterable[str], valid_fraction: float, test_fraction: float, seed: int) -> Splits:
    """Assigns each utterance by its own hash alone: below test_fraction it is test, then valid, else train.

    Where a set would be empty though its share is not 0, and there are at least three utterances, it takes the one
    with the lowest hash that is left (train: the highest). Only such tiny corpora can see an utterance move when
    another one is added. One or two utterances are all for training.

    Args:
        utt_ids: unique.
        valid_fraction: expected share of the validation set.
        test_fraction: expected share of the test set.
        seed: another one gives other sets.
    """
    place = {utt_id: _unit_hash(f"{seed}:{utt_id}") for utt_id in utt_ids}
    order = sorted(place, key=lambda utt_id: (place[utt_id], utt_id))
    if len(order) < 3:
        return Splits(sorted(order), [], [], [])
    test = [u for u in order if place[u] < test_fraction]
    valid = [u for u in order if test_fraction <= place[u] < test_fraction + valid_fraction]
    train = order[len(test) + len(valid) :]
    if not test and test_fraction > 0:
        test = [(valid if len(valid) > 1 else train).pop(0)]
    if not valid and valid_fraction > 0:
        valid = [train.pop(0)] if len(train) > 1 else [test.pop()]
    if not train:
        train = [(valid if len(valid) > 1 else test).pop()]
    golden = test[:GOLDEN_SIZE]
    return Splits(sorted(train), sorted(valid), sorted(test), sorted(golden))


def _unit_hash(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48
