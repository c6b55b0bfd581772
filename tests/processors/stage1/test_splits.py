"""Sets are disjoint, stable and never empty by chance."""

from hypothesis import given
from hypothesis import strategies as st

from processors.stage1.splits import split

FRACTIONS = st.floats(0.001, 0.45)


@given(st.sets(st.text(min_size=1, max_size=8), max_size=60), FRACTIONS, FRACTIONS, st.integers(0, 99))
def test_every_utterance_is_in_one_set(ids: set[str], valid: float, test: float, seed: int) -> None:
    found = split(ids, valid, test, seed)
    parts = [*found.train, *found.valid, *found.test]
    assert sorted(parts) == sorted(ids)
    assert set(found.golden_test) <= set(found.test) and len(found.golden_test) == min(10, len(found.test))
    if len(ids) >= 3:
        assert found.train and found.valid and found.test
    else:
        assert sorted(found.train) == sorted(ids)


def test_a_new_clip_moves_no_other() -> None:
    ids = [f"LJ{number:05d}" for number in range(1000)]
    before, after = split(ids, 0.02, 0.02, 1234), split([*ids, "new"], 0.02, 0.02, 1234)
    for old, new in zip(before[:3], after[:3], strict=True):
        assert set(old) == set(new) - {"new"}


def test_the_sets_have_their_shares_and_follow_the_seed() -> None:
    ids = [f"LJ{number:05d}" for number in range(5000)]
    found = split(ids, 0.02, 0.05, 1)
    assert 70 <= len(found.valid) <= 130 and 200 <= len(found.test) <= 300
    assert found == split(reversed(ids), 0.02, 0.05, 1)
    assert found.test != split(ids, 0.02, 0.05, 2).test


def test_a_share_of_zero_stays_empty() -> None:
    found = split(list("abcdef"), 0.0, 0.0, 1)
    assert (found.valid, found.test, found.train) == ([], [], list("abcdef"))
