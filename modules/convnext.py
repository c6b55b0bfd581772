"""One-dimensional ConvNeXt block (arXiv:2201.03545, sec. 2; for vocoders: Vocos, arXiv:2306.00814, sec. 3.1)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DepthwiseConv1d(nn.Conv1d):
    """Convolution over time of each channel by itself, on [B, T, C], zero-padded to keep T."""

    def __init__(self, channels: int, kernel_size: int) -> None:
        """Creates the parameters.

        Args:
            channels: C.
            kernel_size: taps, odd.
        """
        super().__init__(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """Convolves each channel over T.

        Args:
            x: [B, T, C] float.

        Returns:
            [B, T, C] float.
        """
        # An image of height 1, channels-last, takes a third of the time of three dimensions in training on a CPU, and
        # a sixteenth without gradients: PyTorch copies three-dimensional inputs to [B, C, T] and back.
        image, weight = x.transpose(1, 2).unsqueeze(2), self.weight.unsqueeze(2)
        y = F.conv2d(image, weight, self.bias, padding=(0, self.kernel_size[0] // 2), groups=self.groups)
        return y.squeeze(2).transpose(1, 2)


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, layer norm and two linear layers, scaled and added to the input."""

    def __init__(self, channels: int, hidden: int, kernel_size: int, scale: float) -> None:
        """Builds the layers.

        Args:
            channels: C.
            hidden: channels inside the feed-forward part.
            kernel_size: taps of the convolution, odd.
            scale: initial factor on the block's output; then learned per channel.
        """
        super().__init__()
        self.conv = DepthwiseConv1d(channels, kernel_size)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.expand = nn.Linear(channels, hidden)
        self.contract = nn.Linear(hidden, channels)
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """Applies the block.

        Args:
            x: [B, T, C] float, 0 on padding.

        Returns:
            [B, T, C] float, not 0 on padding.
        """
        y = self.expand(self.norm(self.conv(x)))
        return x + self.scale * self.contract(F.gelu(y))
