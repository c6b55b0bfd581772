"""The PostNet: convolutions that refine a mel (Tacotron 2, arXiv:1712.05884, sec. 2.2)."""

import torch
from torch import Tensor, nn

from modules.conv import Conv1d
from modules.masked_batch_norm import MaskedBatchNorm1d


class PostNet(nn.Module):
    """Convolutions with batch norm, tanh on all but the last, and dropout on all; the result is added to the mel."""

    def __init__(self, n_mel: int, hidden: int, num_layers: int, kernel_size: int, dropout: float) -> None:
        """Builds the layers.

        Args:
            n_mel: mel bands.
            hidden: channels between the convolutions.
            num_layers: number of convolutions, at least 2.
            kernel_size: taps, odd.
            dropout: after each layer.
        """
        super().__init__()
        sizes = [n_mel, *[hidden] * (num_layers - 1), n_mel]
        self.convs = nn.ModuleList(Conv1d(a, b, kernel_size) for a, b in zip(sizes, sizes[1:], strict=False))
        self.norms = nn.ModuleList(MaskedBatchNorm1d(size) for size in sizes[1:])
        self.dropout = nn.Dropout(dropout)

    def forward(self, mel: Tensor, padding_mask: Tensor | None) -> Tensor:
        """Refines a mel.

        Args:
            mel: [B, T, n_mel] log-mel; 0 on padding, unless `padding_mask` is None.
            padding_mask: [B, T] bool, True = padding; None: the padding is treated like valid frames and leaks into
                its neighbors.

        Returns:
            [B, T, n_mel] log-mel, 0 on padding unless `padding_mask` is None.
        """
        x = mel
        last = len(self.convs) - 1
        for index, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = norm(conv(x), padding_mask)
            x = self.dropout(torch.tanh(x) if index < last else x)
            if padding_mask is not None:
                x = x.masked_fill(padding_mask.unsqueeze(-1), 0)
        return mel + x
