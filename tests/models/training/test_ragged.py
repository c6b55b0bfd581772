"""Rows of different lengths on a device: what was put in comes out, and padding past the ends."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import pad_sequence

from models.training.ragged import Ragged

CPU = torch.device("cpu")


@given(st.lists(st.integers(0, 7), min_size=1, max_size=9), st.data())
def test_batches_are_those_of_padding_on_the_host(lengths, data):
    rows = [torch.randn(length, 3) for length in lengths]
    ragged = Ragged(lengths, CPU, torch.float32, (3,))
    for number in reversed(range(len(rows))):
        ragged.put(number, rows[number])
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=5))
    expected = pad_sequence([rows[i] for i in chosen], batch_first=True)
    assert torch.equal(ragged.padded(torch.tensor(chosen), expected.size(1)), expected)


def test_single_places_and_another_padding():
    ragged = Ragged([2, 3], CPU, torch.int16, padding=-1)
    ragged.put(0, torch.tensor([1, 2]))
    ragged.put(1, torch.tensor([3, 4, 5]))
    taken = ragged.take(torch.tensor([1, 0]), torch.tensor([[2, 0, 3], [1, 2, 0]]))
    assert taken.tolist() == [[5, 3, -1], [2, -1, 1]] and taken.dtype == torch.int16


def test_a_row_of_another_length_is_an_error():
    with pytest.raises(ValueError, match="row 1 has 3 values, got 2"):
        Ragged([2, 3], CPU, torch.float32).put(1, torch.ones(2))
