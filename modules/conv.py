"""A one-dimensional convolution in the layout of everything around it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules.winograd import winograd_conv1d


class Conv1d(nn.Conv1d):
    """Convolution over time on [B, T, C], zero-padded so that T stays; parameters are those of `nn.Conv1d`."""

    bias: Tensor

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        """Builds the layer.

        Args:
            in_channels: channels of the input.
            out_channels: channels of the output.
            kernel_size: taps, odd.

        Raises:
            ValueError: the kernel size is even: T could not stay.
        """
        if kernel_size % 2 == 0:
            raise ValueError(f"the kernel size must be odd, got {kernel_size}")
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Convolves.

        Args:
            x: [B, T, in_channels] float.

        Returns:
            [B, T, out_channels] float.
        """
        taps = self.kernel_size[0]
        if taps == 1:  # oneDNN leaves such a convolution to a slow path
            return F.linear(x, self.weight.squeeze(2), self.bias)
        if self.training and taps >= 7 and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            # Half the time of a step's largest convolutions. Not in inference, where short inputs would pay more for
            # the filters' transform than they save.
            return winograd_conv1d(x, self.weight, self.bias)
        if x.is_cuda:
            # As an image of height 1, which stays channels-last: PyTorch copies three-dimensional inputs to [B, C, T].
            image, weight = x.transpose(1, 2).unsqueeze(2), self.weight.unsqueeze(2)
            return F.conv2d(image, weight, self.bias, padding=(0, taps // 2)).squeeze(2).transpose(1, 2)
        return super().forward(x.transpose(1, 2)).transpose(1, 2)
