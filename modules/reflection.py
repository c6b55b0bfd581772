"""Reflection at a signal's ends."""

import torch
from torch import Tensor


def reflected(x: Tensor, left: int, right: int) -> Tensor:
    """The values of `F.pad(x, (left, right), mode="reflect")`, whose gradient a GPU sums in an order that varies.

    Args:
        x: [..., N].
        left, right: samples to add, less than N.

    Returns:
        [..., left + N + right].
    """
    last = x.shape[-1] - 1
    return torch.cat([x[..., 1 : left + 1].flip(-1), x, x[..., last - right : last].flip(-1)], dim=-1)
