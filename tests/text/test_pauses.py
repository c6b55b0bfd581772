"""Marks meet pauses whatever the aligner's dictionary says."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from text.pauses import place_marks
from text.symbols import MARKS, is_mark, is_pause


def place(spoken: str, written: str) -> str:
    """Tokens as a string; a mark without a pause in parentheses. "-" stands for an empty label."""
    labels = ["" if label == "-" else label for label in spoken.split()]
    placed = place_marks(labels, written.split())
    assert [index for _, index in placed if index is not None] == list(range(len(labels)))
    return " ".join(token if index is not None else f"({token})" for token, index in placed)


def test_a_pause_takes_the_name_of_its_mark() -> None:
    assert place("HH AH0 L OW1 sp W ER1 L D sil", "HH AH0 L OW1 , W ER1 L D ?") == "HH AH0 L OW1 , W ER1 L D ?"


def test_a_pause_without_a_mark_is_sp() -> None:
    assert place("sil HH AH0 sil L OW1", "HH AH0 L OW1") == "sp HH AH0 sp L OW1"


def test_a_mark_without_a_pause_has_no_index() -> None:
    assert place("HH AH0 L OW1 W ER1 L D", "HH AH0 L OW1 , W ER1 L D .") == "HH AH0 L OW1 (,) W ER1 L D (.)"


def test_unstressed_lower_case_and_empty_labels() -> None:
    assert place("- HH AH L OW - W ER L D -", "HH AH0 L OW1 ; W ER1 L D !") == "sp HH AH L OW ; W ER L D !"


def test_other_pronunciation_beside_the_mark() -> None:
    # "either, or": the aligner's dictionary has AY DH ER, ours IY DH ER
    assert place("AY1 DH ER0 sp AO1 R sp", "IY1 DH ER0 , AO1 R .") == "AY1 DH ER0 , AO1 R ."
    assert place("W AO1 T sp N AW1 sp", "W AH1 , N AW1 .") == "W AO1 T , N AW1 ."


def test_unknown_word_is_spn() -> None:
    assert place("spn sp HH AY1 sil", "Z AO1 R B L AE2 T , HH AY1 .") == "spn , HH AY1 ."


def test_marks_keep_their_order() -> None:
    assert place("AH0 sp B sp", "AH0 , B . ") == "AH0 , B ."
    assert place("X Y sp Z sp sp", "A , B ; C .") == "X Y , Z ; ."


def test_two_pauses_and_two_marks_in_one_gap() -> None:
    assert place("AA1 sp sil B", "AA1 , - B") == "AA1 , - B"


def test_empty_sides() -> None:
    assert place("", "") == ""
    assert place("sil", "") == "sp"
    assert place("", "AH0 .") == "(.)"


def test_written_pauses_are_ignored() -> None:
    assert place("AA1 B", "AA1 sp B") == "AA1 B"


PHONES = st.sampled_from(["AA1", "B", "K", "IY0", "S"])


@settings(deadline=None, derandomize=True)
@given(
    st.lists(st.one_of(PHONES, st.sampled_from(["", "sp", "sil", "spn"]))),
    st.lists(st.one_of(PHONES, st.sampled_from(MARKS))),
)
def test_nothing_is_lost_or_moved(spoken: list[str], written: list[str]) -> None:
    placed = place_marks(spoken, written)
    assert [index for _, index in placed if index is not None] == list(range(len(spoken)))
    assert [token for token, _ in placed if is_mark(token)] == [token for token in written if is_mark(token)]
    for token, index in placed:
        if index is None:
            assert is_mark(token)
        elif is_pause(spoken[index]):
            assert is_mark(token) or token in ("sp", "spn")
        else:
            assert token == spoken[index]


@settings(deadline=None, derandomize=True)
@given(st.lists(st.one_of(PHONES, st.sampled_from(MARKS)), max_size=40), st.randoms(use_true_random=False))
def test_the_same_phones_give_the_marks_back(written: list[str], dice: random.Random) -> None:
    """Where every mark is a pause and the phones agree, the result is the text's own tokens."""
    tokens = [
        token for index, token in enumerate(written) if not (is_mark(token) and index and is_mark(written[index - 1]))
    ]
    spoken = [dice.choice(["sp", "sil", ""]) if is_mark(token) else token.rstrip("012") for token in tokens]
    placed = [token for token, _ in place_marks(spoken, tokens)]
    assert placed == [token if is_mark(token) else token.rstrip("012") for token in tokens]
