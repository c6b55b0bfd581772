"""Statistics: outliers out of mean and deviation, but inside the range."""

import numpy as np
import pytest

from processors.stage1.stats import corpus_statistics, phone_statistics


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


def test_each_speaker_has_statistics_and_the_range_is_of_z_scores() -> None:
    rng = np.random.default_rng(0)
    low, high = rng.normal(110, 10, 500), rng.normal(220, 30, 500)
    found = corpus_statistics({"ann": {"pitch": high, "energy": high}, "bob": {"pitch": low, "energy": low}})
    assert found["speakers"]["ann"]["pitch"]["mean"] == pytest.approx(high.mean(), rel=0.02)
    assert found["speakers"]["bob"]["pitch"]["std"] == pytest.approx(low.std(), rel=0.1)
    assert found["pitch"]["mean"] == pytest.approx(np.concatenate([low, high]).mean(), rel=0.02)
    assert -5 < found["pitch"]["min"] < -2.5 and 2.5 < found["pitch"]["max"] < 5


def test_a_speaker_of_few_phones_has_the_statistics_of_the_corpus() -> None:
    many, few = np.linspace(100, 200, 500), np.array([400.0, 410.0])
    found = corpus_statistics({"ann": {"pitch": many, "energy": many}, "bob": {"pitch": few, "energy": few}})
    assert found["speakers"]["bob"]["pitch"] == {key: found["pitch"][key] for key in ("mean", "std")}


def test_one_speaker_has_no_table_of_speakers() -> None:
    values = np.linspace(100, 200, 500)
    assert corpus_statistics({"ann": {"pitch": values, "energy": values}})["pitch"] == phone_statistics(values)
