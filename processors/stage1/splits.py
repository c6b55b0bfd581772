"""Splits a corpus into training, validation and test sets by a hash, so that new utterances move no others."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from utils.utterance import Utterance

GOLDEN_SIZE = 10
RARE = 3  # a speaker with fewer utterances is not split


class Splits(NamedTuple):
    """Sorted utterance ids of each set. The first three are disjoint; golden_test is a part of test."""

    train: list[str]
    valid: list[str]
    test: list[str]
    golden_test: list[str]


class _Group(NamedTuple):
    """Utterances that must be in the same set."""

    rare: bool  # contains an utterance of a speaker who has too few to be split
    hash: float
    key: str
    utterances: list[Utterance]


def split(utterances: Iterable[Utterance], valid_fraction: float, test_fraction: float, seed: int) -> Splits:
    """Assigns each utterance by its hash only: below test_fraction to test, then to valid, else to train.

    With several speakers it is a hash of the sentence, so that all recordings of a sentence are in one set. All
    utterances of a speaker who has one or two are for training, with the sentences that they share. Utterances that the
    corpus itself assigns to a set stay there.

    If a set with a share above 0 would be empty, and there are at least three sentences, it takes the remaining one
    with the lowest hash (train: the highest). A speaker without training data gets some from the larger sets. Only in
    such tiny corpora can a new utterance move another one. If there are one or two sentences, all are for training.

    Args:
        utterances: ids are unique.
        valid_fraction: expected share of the validation set.
        test_fraction: expected share of the test set.
        seed: changes the assignment.
    """
    utterances = list(utterances)
    groups = _groups([u for u in utterances if not u.split], seed)
    train, valid, test = (
        [_Group(False, _unit_hash(f"{seed}:{u.utt_id}"), u.utt_id, [u]) for u in utterances if u.split == name]
        for name in ("train", "valid", "test")
    )
    if len(groups) + len(train) + len(valid) + len(test) < 3:
        return Splits(sorted(u.utt_id for u in utterances), [], [], [])
    test += [g for g in groups if not g.rare and g.hash < test_fraction]
    valid += [g for g in groups if not g.rare and test_fraction <= g.hash < test_fraction + valid_fraction]
    train += [g for g in groups if g.rare or g.hash >= test_fraction + valid_fraction]
    for part in (train, valid, test):
        part.sort()
    if not test and test_fraction > 0:
        test.append((valid if len(valid) > 1 else train).pop(0))
    if not valid and valid_fraction > 0:
        valid.append(train.pop(0) if len(train) > 1 else test.pop())
    if not train:
        train.append((valid if len(valid) > 1 else test).pop())
    _give_everyone_training_data(train, valid, test)
    golden = [group.utterances[0].utt_id for group in test[:GOLDEN_SIZE]]
    return Splits(_ids(train), _ids(valid), _ids(test), sorted(golden))


def _groups(utterances: Sequence[Utterance], seed: int) -> list[_Group]:
    """Groups utterances by sentence if there are several speakers, else every one is a group."""
    counts = Counter(utterance.speaker for utterance in utterances)
    members: dict[str, list[Utterance]] = {}
    for utterance in sorted(utterances):
        words = re.findall(r"\w+", utterance.text.casefold()) if len(counts) > 1 else []
        members.setdefault(" ".join(words) or utterance.utt_id, []).append(utterance)
    several = len(counts) > 1
    return [
        _Group(several and any(counts[u.speaker] < RARE for u in group), _unit_hash(f"{seed}:{key}"), key, group)
        for key, group in members.items()
    ]


def _give_everyone_training_data(train: list[_Group], valid: list[_Group], test: list[_Group]) -> None:
    """Moves sentences to the training set, for speakers who have none there, unless a set would become empty."""
    trained = {utterance.speaker for group in train for utterance in group.utterances}
    for part in (valid, test):
        for group in reversed(part[:]):
            speakers = {utterance.speaker for utterance in group.utterances if not utterance.split}
            if speakers - trained and len(part) > 1:
                part.remove(group)
                train.append(group)
                trained |= speakers


def _ids(groups: Iterable[_Group]) -> list[str]:
    return sorted(utterance.utt_id for group in groups for utterance in group.utterances)


def _unit_hash(text: str) -> float:
    """Hashes a text to a number in [0, 1)."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:6], "big") / 2**48
