"""Padding masks: True = padding."""

import torch
from torch import Tensor


def padding_mask(lengths: Tensor, size: int) -> Tensor:
    """Marks the positions past the end of each row.

    Args:
        lengths: [B] int64, valid positions of each row.
        size: padded length L.

    Returns:
        [B, L] bool, True = padding.
    """
    return torch.arange(size, device=lengths.device) >= lengths.unsqueeze(1)
