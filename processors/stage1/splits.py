"""Splits utterances into training, validation and test sets by a hash of the id, so that new ones move no others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

GOLDEN_SIZE = 10


class Splits(NamedTuple):
    """Sorted utterance ids of each set. The first three are disjoint; golden_test is a part of test."""

    train: list[str]
    valid: list[str]
    test: list[str]
    golden_test: list[str]


def split(utt_ids: Iterable[str], valid_fraction: float, test_fraction: float, seed: int) -> Splits:
    """Assigns each utterance by its hash only: below test_fraction to test, then to valid, else to train.

    If a set with a share above 0 would be empty, and there are at least three utterances, it takes the remaining one
    with the lowest hash (train: the highest). Only in such tiny corpora can a new utterance move another one. If there
    are one or two utterances, all are for training.

    Args:
        utt_ids: unique.
        valid_fraction: expected share of the validation set.
        test_fraction: expected share of the test set.
        seed: changes the assignment.
    """
    hashes = {utt_id: _unit_hash(f"{seed}:{utt_id}") for utt_id in utt_ids}
    order = sorted(hashes, key=lambda utt_id: (hashes[utt_id], utt_id))
    if len(order) < 3:
        return Splits(sorted(order), [], [], [])
    test = [u for u in order if hashes[u] < test_fraction]
    valid = [u for u in order if test_fraction <= hashes[u] < test_fraction + valid_fraction]
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
    """Hashes a text to a number in [0, 1)."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48
