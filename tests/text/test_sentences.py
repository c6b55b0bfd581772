"""Long texts into pieces that lose nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text.sentences import split_sentences


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith paid $3.50.| He left.",
        "It cost 3.5 million.| Was it true?| Yes!",
        "J. K. Rowling wrote it.| I read it.",
        "The U.S. Army came.| It won.",
        "She lives in the U.S.| She likes it.",
        "We met at 5 p.m.| The rain fell.",
        "We met at 5 p.m. Friday.",
        'He said, "Stop!"| Then he ran.',
        '"Why?" she asked.| Nobody knew.',
        "Well... maybe not.| Perhaps.",
        "See pp. 3-5 and Fig. 2 there.| Now go.",
        "Fruit, e.g. Apples, etc. are good.",
        "Mr. and Mrs. Hill vs. Acme Inc. in court.",
        "A heading\n\n|Then a paragraph.|\nIts second line.",
        "He stood on Elm St.| The bus came.",
        "Visit example.com today.| Bye.",
        "(He left.)| She stayed.",
        "What?!| No.",
    ],
)
def test_sentence_ends(text: str) -> None:
    pieces = [piece.strip() for piece in text.split("|")]
    assert [piece.strip() for piece in split_sentences(text.replace("|", ""))] == pieces


def test_a_long_sentence_is_cut_at_commas_then_at_spaces() -> None:
    assert split_sentences("one two three, four five six, seven", 24) == ["one two three, ", "four five six, seven"]
    assert split_sentences("one two three four five", 12) == ["one two ", "three four ", "five"]
    assert split_sentences("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]


def test_inline_phones_stay_whole() -> None:
    pieces = split_sentences("say the word {R EH1 D} and {W ER1 D} now", 16)
    assert "{R EH1 D}" in "|".join(pieces) and "{W ER1 D}" in "|".join(pieces)


def test_nothing_to_say() -> None:
    assert split_sentences("") == []
    assert split_sentences(" \n ") == [" \n "]
    with pytest.raises(ValueError):
        split_sentences("a", 0)


@settings(deadline=None, derandomize=True)
@given(st.text(alphabet="ab A.,?!\"' \n{}1…—U.S.", max_size=300), st.integers(1, 60))
def test_joined_pieces_are_the_text(text: str, max_chars: int) -> None:
    pieces = split_sentences(text, max_chars)
    assert "".join(pieces) == text
    assert all(len(piece) <= max_chars and piece for piece in pieces)


def test_a_long_text_takes_linear_work() -> None:
    # quadratic splitting of two million characters would not end within the suite's time
    text = "Dr. Hill said that, of all the days, this one was the best. " * 35_000
    assert len(split_sentences(text)) == 35_000
    assert "".join(split_sentences("word " * 200_000)) == "word " * 200_000
