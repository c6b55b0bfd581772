import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from modules.masks import padding_mask
from modules.transformer import FFTStack, MultiHeadAttention


def attention_by_hand(attention: MultiHeadAttention, x: Tensor, valid: int) -> Tensor:
    """The textbook's sums for one row of x [L, C]."""
    query, key, value = attention.qkv(x).chunk(3, dim=-1)
    size = x.size(1) // attention.num_heads
    heads = []
    for head in range(attention.num_heads):
        columns = slice(head * size, (head + 1) * size)
        logits = query[:, columns] @ key[:valid, columns].T / math.sqrt(size)
        heads.append(logits.softmax(dim=-1) @ value[:valid, columns])
    return F.layer_norm(
        attention.output(torch.cat(heads, dim=-1)) + x, (x.size(1),), attention.norm.weight, attention.norm.bias
    )


def test_attention_is_the_textbooks() -> None:
    attention = MultiHeadAttention(8, 2, dropout=0.0)
    x = torch.randn(2, 5, 8)
    padding = padding_mask(torch.tensor([5, 3]), 5)
    y = attention(x, padding, ~padding[:, None, None, :])
    torch.testing.assert_close(y[0], attention_by_hand(attention, x[0], 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(y[1, :3], attention_by_hand(attention, x[1], 3)[:3], atol=1e-5, rtol=0)
    assert (y[1, 3:] == 0).all()


@pytest.mark.parametrize("kernel_sizes", [(9, 1), (3, 3)])
def test_padding_reaches_nothing(kernel_sizes: tuple[int, int]) -> None:
    stack = FFTStack(2, 8, 2, 16, kernel_sizes, dropout=0.0)
    lengths = torch.tensor([6, 4, 1])
    mask = padding_mask(lengths, 6)
    x = torch.randn(3, 6, 8, requires_grad=True)
    y = stack(x, mask)
    assert (y[mask] == 0).all()
    for row, length in enumerate(lengths.tolist()):
        alone = stack(x[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(y[row, :length], alone[0], atol=1e-5, rtol=0)
    (gradient,) = torch.autograd.grad(y.square().sum(), x)
    assert (gradient[mask] == 0).all()
    assert (gradient[~mask] != 0).any(dim=-1).all()


def test_a_row_of_padding_is_zero_and_finite_in_the_gradient() -> None:
    stack = FFTStack(2, 8, 2, 16, (9, 1), dropout=0.0)
    x = torch.randn(2, 4, 8, requires_grad=True)
    y = stack(x, padding_mask(torch.tensor([4, 0]), 4))
    assert y.isfinite().all()
    assert (y[1] == 0).all()
    y.square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in stack.parameters())
