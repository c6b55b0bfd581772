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


@pytest.mark.parametrize("kernel_size", [1, 3, 9])
def test_training_gives_the_same_numbers(kernel_size: int) -> None:
    conv, x = Conv1d(4, 6, kernel_size), torch.randn(2, 21, 4)
    torch.testing.assert_close(conv.train()(x), conv.eval()(x), atol=1e-5, rtol=0)
