import pytest
import torch
from torch import nn

from modules.conv import Conv1d


def test_is_a_convolution_in_the_other_layout() -> None:
    ours, theirs = Conv1d(3, 5, 7), nn.Conv1d(3, 5, 7, padding=3)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 11, 3)
    y = ours(x)
    assert y.shape == (2, 11, 5)
    torch.testing.assert_close(y, theirs(x.transpose(1, 2)).transpose(1, 2))


def test_even_kernels_are_refused() -> None:
    with pytest.raises(ValueError, match="odd, got 4"):
        Conv1d(3, 5, 4)
