"""Scores of alignments."""

import numpy as np
import pytest

from models.aligner.scores import misfits, utterance_score


def test_pauses_do_not_count_as_phones() -> None:
    log_probs = np.array([-1.0, -2.0, -3.0, -4.0, -5.0, -6.0])
    score = utterance_score(log_probs, np.array([3, 1, 2]), np.array([True, False, False]), 0.5)
    assert score.fit == pytest.approx((-4.0 - 5.5) / 2)
    assert score.longest_phone == pytest.approx(1.0)
    assert score.frames_per_phone == pytest.approx(1.5)


def test_misfits_count_deviations_below_the_median() -> None:
    fits = [-1.0, -1.1, -0.9, -1.05, -0.95, -3.0]
    found = misfits(fits)
    assert found[2] == 0.0 and found[5] == max(found) > 10
    # median -1.025, median absolute deviation 0.075
    assert found[5] == pytest.approx(1.975 / (1.4826 * 0.075))


def test_equal_fits_have_no_outlier() -> None:
    assert max(misfits([-1.0, -1.0, -1.0, -1.001])) < 1
