"""Words to tokens and back to intervals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.aligner.tokens import (
    tiers,
    utterance_tokens,
    with_cut_frames,
    with_pauses_between_words,
    without_short_pauses,
)
from text.frontend import Frontend


def test_pauses_stand_at_the_ends_and_at_marks() -> None:
    tokens = utterance_tokens(["HH", "AY1", ",", "Y", "UW1", "."], [("hi", 2), ("you", 2)])
    assert tokens.symbols == ["sp", "HH", "AY", "sp", "Y", "UW", "sp"]
    assert tokens.labels == ["", "HH", "AY1", "", "Y", "UW1", ""]
    assert tokens.word_of == [-1, 0, 0, -1, 1, 1, -1]
    assert tokens.optional == [True, False, False, True, False, False, True]


def test_words_that_do_not_fit_are_an_error() -> None:
    for words in ([("hi", 1)], [("hi", 3)]):
        with pytest.raises(ValueError, match="phones in words"):
            utterance_tokens(["HH", "AY1"], words)


@pytest.mark.parametrize(
    "text", ['He said: "No!" - and left (at 3:30).', "Dr. O'Neill's 42 cats {HH AH0 L OW1} - well-known.", "Hi"]
)
def test_the_front_ends_words_are_its_phones(text: str) -> None:
    spoken = Frontend().pronounce(text)
    tokens = utterance_tokens(spoken.phones, [(word.text, len(word.phones)) for word in spoken.words])
    for index, word in enumerate(spoken.words):
        assert [t for t, w in zip(tokens.labels, tokens.word_of, strict=True) if w == index] == word.phones


def test_pauses_between_words_stay_where_they_last() -> None:
    written = utterance_tokens(["AH0", "B", "IY1", ",", "Y", "UW1"], [("a", 1), ("be", 2), ("you", 2)])
    spaced = with_pauses_between_words(written)
    assert spaced.symbols == ["sp", "AH", "sp", "B", "IY", "sp", "Y", "UW", "sp"]
    assert spaced.word_of == [-1, 0, -1, 1, 1, -1, 2, 2, -1]
    short = without_short_pauses(spaced, written, [0, 5, 6, 5, 5, 0, 5, 5, 0], 7)
    assert short == written
    long = without_short_pauses(spaced, written, [9, 5, 7, 5, 5, 1, 5, 5, 0], 7)
    assert long == spaced


def test_intervals_cover_the_recording_without_what_lasts_no_frame() -> None:
    tokens = utterance_tokens(["HH", "AY1", ",", "Y", "UW1", "."], [("hi", 2), ("you", 2)])
    words, phones = tiers(tokens, [2, 3, 4, 0, 1, 2, 0], ["hi", "you"], 1.25, 0.1)
    assert [words.name, phones.name] == ["words", "phones"]
    assert [interval.label for interval in phones.intervals] == ["", "HH", "AY1", "Y", "UW1"]
    assert [interval.label for interval in words.intervals] == ["", "hi", "you"]
    assert [interval.end for interval in phones.intervals] == pytest.approx([0.2, 0.5, 0.9, 1.0, 1.25])
    times = [time for interval in words.intervals for time in (interval.start, interval.end)]
    assert times == pytest.approx([0, 0.2, 0.2, 0.9, 0.9, 1.25])


@pytest.mark.parametrize(
    ("durations", "cut_at", "longer"),
    [
        ([0, 3, 2, 0, 4, 0], 0, 0),  # in front of everything: the pause of no length that is there
        ([5, 3, 2, 0, 4, 0], 0, 0),
        ([5, 3, 2, 6, 4, 0], 13, 3),  # inside a pause
        ([5, 3, 2, 6, 4, 0], 10, 3),  # where it begins
        ([5, 3, 2, 6, 4, 0], 16, 3),  # where it ends
        ([5, 3, 2, 0, 4, 0], 10, 3),  # between two words: the pause of no length
        ([5, 3, 2, 0, 4, 0], 14, 5),  # behind everything
        ([5, 3, 2, 0, 4, 0], 7, 1),  # inside a phone, which then lasts too long, and is reported
    ],
)
def test_frames_that_were_cut_out_go_to_the_pause_that_is_there(durations: list[int], cut_at: int, longer: int) -> None:
    tokens = utterance_tokens(["HH", "AY1", ",", "UW1"], [("hi", 2), ("you", 1)])
    expected = [frames + 100 * (index == longer) for index, frames in enumerate(durations)]
    assert with_cut_frames(tokens, durations, [(cut_at, 100)]) == expected


@given(st.lists(st.integers(0, 9), min_size=6, max_size=6).filter(any), st.data())
def test_no_cut_frame_is_lost(durations: list[int], data: st.DataObject) -> None:
    tokens = utterance_tokens(["HH", "AY1", ",", "UW1"], [("hi", 2), ("you", 1)])
    places = sorted(data.draw(st.lists(st.integers(0, sum(durations)), max_size=3, unique=True)))
    cuts = [(place, data.draw(st.integers(1, 50))) for place in places]
    assert sum(with_cut_frames(tokens, durations, cuts)) == sum(durations) + sum(count for _, count in cuts)
