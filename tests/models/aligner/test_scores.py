"""Scores of alignments."""

import numpy as np
import pytest

from models.aligner.scores import Score, doubts, misfits, utterance_score


def test_pauses_do_not_count_as_phones() -> None:
    log_probs = np.array([-1.0, -2.0, -3.0, -4.0, -5.0, -6.0])
    score = utterance_score(log_probs, np.array([3, 1, 2]), np.array([True, False, False]), 4.0, 0.5)
    assert score.fit == pytest.approx((-4.0 - 5.5) / 2)
    assert score.longest_phone == pytest.approx(1.0)
    assert score.phones_per_second == pytest.approx(2 / 1.5)
    assert score.one_frame_share == pytest.approx(0.5)
    assert score.silence_share == pytest.approx(1 - 1.5 / 4)


def test_misfits_count_deviations_below_the_median() -> None:
    fits = [-1.0, -1.1, -0.9, -1.05, -0.95, -3.0]
    found = misfits(fits)
    assert found[2] == 0.0 and found[5] == max(found) > 10
    # median -1.025, median absolute deviation 0.075
    assert found[5] == pytest.approx(1.975 / (1.4826 * 0.075))


def test_equal_fits_have_no_outlier() -> None:
    assert max(misfits([-1.0, -1.0, -1.0, -1.001])) < 1


GOOD = Score(-1.5, 0.3, 0.1, 12.0, 0.2, 0.5, 0.98)


def test_a_good_alignment_is_not_doubted() -> None:
    assert doubts(GOOD) == []
    assert doubts(GOOD._replace(agreement=None)) == []  # a corpus too small for it


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"one_frame_share": 0.87}, "87% of its phones last one frame"),
        ({"agreement": 0.4}, "the other half of the corpus puts 60% of its phones elsewhere"),
        ({"fit": -6.0}, "its log probability per phone is -6.0"),
        ({"silence_share": 0.98}, "98% of the recording is silence"),
        ({"phones_per_second": 45.0}, "45.0 phones per second"),
        ({"phones_per_second": 2.0}, "2.0 phones per second"),
    ],
)
def test_each_measure_alone_is_a_doubt(change: dict[str, float], message: str) -> None:
    assert doubts(GOOD._replace(**change)) == [message]
