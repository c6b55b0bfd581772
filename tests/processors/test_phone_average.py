"""Means over phones; the cases of a published toolkit's bugs among them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.energy import frame_energy
from processors.phone_average import fill_unvoiced, phone_average


def test_phones_without_frames_shift_nothing() -> None:
    values = np.array([10, 20, 30, 40], np.float32)
    assert phone_average(values, np.array([0, 0, 2, 2])).tolist() == [0, 0, 15, 35]
    assert values.tolist() == [10, 20, 30, 40]


@given(st.lists(st.lists(st.floats(0, 800, width=32), max_size=6), min_size=1, max_size=20))
def test_each_is_the_mean_of_its_frames(groups: list[list[float]]) -> None:
    values = np.array([value for group in groups for value in group], np.float32)
    found = phone_average(values, np.array([len(group) for group in groups]))
    np.testing.assert_allclose(found, [np.mean(group) if group else 0 for group in groups], rtol=1e-5, atol=1e-3)


def test_durations_must_fit() -> None:
    with pytest.raises(ValueError, match="sum to 3, there are 4"):
        phone_average(np.zeros(4, np.float32), np.array([1, 2]))


def test_unvoiced_frames_are_filled_in() -> None:
    pitch = np.array([0, 0, 100, 0, 0, 160, 0], np.float32)
    assert fill_unvoiced(pitch).tolist() == [100, 100, 100, 120, 140, 160, 160]
    assert fill_unvoiced(np.zeros(3, np.float32)).tolist() == [0, 0, 0]


def test_energy_is_the_norm_of_the_frame() -> None:
    assert frame_energy(np.array([[3, 4], [0, 0]], np.float32)).tolist() == [5, 0]
