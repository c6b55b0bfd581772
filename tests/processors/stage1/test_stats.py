"""Statistics: outliers out of mean and deviation, but inside the range."""

import numpy as np
import pytest

from processors.stage1.stats import phone_statistics


def test_without_outliers_they_are_the_plain_ones() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0])
    found = phone_statistics(values)
    assert found["mean"] == 2.5 and found["std"] == pytest.approx(values.std())
    assert found["min"] == pytest.approx(-1.5 / values.std()) and found["max"] == -found["min"]


def test_an_octave_error_moves_the_range_only() -> None:
    values = np.linspace(180, 220, 401)
    clean, spoiled = phone_statistics(values), phone_statistics(np.append(values, 700))
    assert (spoiled["mean"], spoiled["std"]) == (clean["mean"], clean["std"])
    assert spoiled["max"] == pytest.approx((700 - clean["mean"]) / clean["std"])


def test_the_order_does_not_matter() -> None:
    values = np.random.default_rng(0).normal(200, 30, 1000).astype(np.float32)
    assert phone_statistics(values) == phone_statistics(values[::-1])


def test_a_monotone_has_a_usable_deviation() -> None:
    assert phone_statistics(np.array([440.0, 440.0, 440.0001]))["std"] == 1.0


def test_no_values() -> None:
    with pytest.raises(ValueError, match="no phone values"):
        phone_statistics(np.zeros(0))
