"""Reflection padding with a deterministic gradient."""

import torch
from torch import Tensor


def reflected(x: Tensor, left: int, right: int) -> Tensor:
    """Equals `F.pad(x, (left, right), mode="reflect")`, whose gradient a GPU sums in varying order.

    Args:
        x: [..., N].
        left: samples to add before, less than N.
        right: samples to add after, less than N.

    Returns:
        [..., left + N + right].
    """
    last = x.shape[-1] - 1
    return torch.cat([x[..., 1 : left + 1].flip(-1), x, x[..., last - right : last].flip(-1)], dim=-1)
