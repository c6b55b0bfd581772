"""Sets are disjoint, stable and never empty by chance."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from processors.stage1.splits import Splits, split
from utils.utterance import Utterance

FRACTIONS = st.floats(0.001, 0.45)


def split_ids(ids: Iterable[str], valid: float, test: float, seed: int) -> Splits:
    return split([Utterance(utt_id, "ann", "The same text.", Path()) for utt_id in ids], valid, test, seed)


@given(st.sets(st.text(min_size=1, max_size=8), max_size=60), FRACTIONS, FRACTIONS, st.integers(0, 99))
def test_every_utterance_is_in_one_set(ids: set[str], valid: float, test: float, seed: int) -> None:
    found = split_ids(ids, valid, test, seed)
    parts = [*found.train, *found.valid, *found.test]
    assert sorted(parts) == sorted(ids)
    assert set(found.golden_test) <= set(found.test) and len(found.golden_test) == min(10, len(found.test))
    if len(ids) >= 3:
        assert found.train and found.valid and found.test
    else:
        assert sorted(found.train) == sorted(ids)


def test_a_new_clip_moves_no_other() -> None:
    ids = [f"LJ{number:05d}" for number in range(1000)]
    before, after = split_ids(ids, 0.02, 0.02, 1234), split_ids([*ids, "new"], 0.02, 0.02, 1234)
    for old, new in zip(before[:3], after[:3], strict=True):
        assert set(old) == set(new) - {"new"}


def test_the_sets_have_their_shares_and_follow_the_seed() -> None:
    ids = [f"LJ{number:05d}" for number in range(5000)]
    found = split_ids(ids, 0.02, 0.05, 1)
    assert 70 <= len(found.valid) <= 130 and 200 <= len(found.test) <= 300
    assert found == split_ids(reversed(ids), 0.02, 0.05, 1)
    assert found.test != split_ids(ids, 0.02, 0.05, 2).test


def test_a_share_of_zero_stays_empty() -> None:
    found = split_ids(list("abcdef"), 0.0, 0.0, 1)
    assert (found.valid, found.test, found.train) == ([], [], list("abcdef"))


SPEAKERS = ("ann", "bob", "cy")
CORPORA = st.lists(st.tuples(st.sampled_from(SPEAKERS), st.sampled_from("abcdefgh")), min_size=3, max_size=60)


@given(CORPORA, FRACTIONS, FRACTIONS, st.integers(0, 99))
def test_all_recordings_of_a_sentence_are_in_one_set(spoken: list[tuple[str, str]], v: float, t: float, seed: int):
    corpus = [Utterance(f"{n}", speaker, text, Path()) for n, (speaker, text) in enumerate(spoken)]
    found = split(corpus, v, t, seed)
    assert sorted([*found.train, *found.valid, *found.test]) == sorted(u.utt_id for u in corpus)
    if len({u.speaker for u in corpus}) > 1:
        sets = {
            u.utt_id: name for name in ("train", "valid", "test") for u in corpus if u.utt_id in getattr(found, name)
        }
        for text in {u.text for u in corpus}:
            assert len({sets[u.utt_id] for u in corpus if u.text == text}) == 1


def test_punctuation_and_case_do_not_make_another_sentence() -> None:
    texts = [f"Sentence {word} here." for word in "one two three four five six seven eight".split()]
    ann = [Utterance(f"ann-{n}", "ann", text, Path()) for n, text in enumerate(texts)]
    bob = [Utterance(f"bob-{n}", "bob", f'"{text.upper()[:-1]}', Path()) for n, text in enumerate(texts)]
    found = split([*ann, *bob], 0.3, 0.3, 5)
    for ids in (found.train, found.valid, found.test):
        assert ids and Counter(i[4:] for i in ids) == {i[4:]: 2 for i in ids}


def test_speakers_with_few_utterances_are_for_training() -> None:
    ann = [Utterance(f"ann-{n}", "ann", f"text {n}", Path()) for n in range(100)]
    rare = [Utterance(f"rare-{n}-{k}", f"rare-{n}", f"text {n}", Path()) for n in range(50) for k in range(2)]
    found = split([*ann, *rare], 0.1, 0.1, 1)
    assert not any(utt_id.startswith("rare") for utt_id in [*found.valid, *found.test])
    assert {u.utt_id for u in rare} <= set(found.train)
    assert {f"ann-{n}" for n in range(50)} <= set(found.train)  # the sentences that they share
    assert len(found.valid) > 2 and len(found.test) > 2


def test_every_speaker_has_training_data() -> None:
    corpus = [Utterance(f"{s:04d}-{n}", f"{s:04d}", f"text {s} {n}", Path()) for s in range(2000) for n in range(3)]
    found = split(corpus, 0.2, 0.2, 1)
    assert {utt_id[:4] for utt_id in found.train} == {f"{s:04d}" for s in range(2000)}
    assert 900 < len(found.valid) < 1300 and 900 < len(found.test) < 1300


def test_the_sets_of_the_corpus_are_kept() -> None:
    corpus = [Utterance(f"{n}", "ab"[n % 2], f"text {n}", Path(), ("train", "valid", "test")[n % 3]) for n in range(30)]
    found = split(corpus, 0.02, 0.02, 1)
    assert (len(found.train), len(found.valid), len(found.test)) == (10, 10, 10)
    assert all(int(utt_id) % 3 == 1 for utt_id in found.valid)
