"""Sinusoidal position encodings (Attention Is All You Need, arXiv:1706.03762, sec. 3.5)."""

import torch
from torch import Tensor, nn


def sinusoid_table(length: int, channels: int) -> Tensor:
    """Returns sines (even channels i) and cosines (odd ones) of pos / 10000^(2 (i // 2) / channels).

    Args:
        length: number of positions.
        channels: number of channels.

    Returns:
        [length, channels] float32, computed in float64.
    """
    position = torch.arange(length, dtype=torch.float64).unsqueeze(1)
    exponent = torch.arange(channels).div(2, rounding_mode="floor") * 2 / channels
    angle = position / torch.pow(torch.tensor(10000.0, dtype=torch.float64), exponent.double())
    table = torch.empty(length, channels, dtype=torch.float64)
    table[:, 0::2] = angle[:, 0::2].sin()
    table[:, 1::2] = angle[:, 1::2].cos()
    return table.float()


class SinusoidalPositions(nn.Module):
    """Adds position encodings to a sequence, without scaling the sequence first.

    The table is a buffer that is not saved in checkpoints: it follows from the two sizes. Its length is fixed, because
    DistributedDataParallel broadcasts buffers and fails if their sizes differ between ranks.
    """

    table: Tensor

    def __init__(self, channels: int, max_length: int) -> None:
        """Computes the table.

        Args:
            channels: C.
            max_length: length of the longest sequence.
        """
        super().__init__()
        self.register_buffer("table", sinusoid_table(max_length, channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Adds the encoding of each position along L.

        Args:
            x: [B, L, C] float.

        Returns:
            [B, L, C] float.

        Raises:
            ValueError: L exceeds `max_length`.
        """
        length, longest = x.size(1), self.table.size(0)
        if length > longest:
            raise ValueError(f"a sequence of {length} positions exceeds the limit of {longest} (max_seq_len)")
        return x + self.table[:length]
