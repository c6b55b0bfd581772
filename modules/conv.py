"""One-dimensional convolution in the [B, T, C] layout of the other modules."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules.winograd import winograd_conv1d


class Conv1d(nn.Conv1d):
    """Convolution over time on [B, T, C], zero-padded to keep T; parameters are those of `nn.Conv1d`."""

    bias: Tensor

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        """Creates the parameters.

        Args:
            in_channels: channels of the input.
            out_channels: channels of the output.
            kernel_size: taps, odd.

        Raises:
            ValueError: the kernel size is even, which would change T.
        """
        if kernel_size % 2 == 0:
            raise ValueError(f"the kernel size must be odd, got {kernel_size}")
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Convolves over T, with the fastest implementation for the device.

        Args:
            x: [B, T, in_channels] float.

        Returns:
            [B, T, out_channels] float.
        """
        taps = self.kernel_size[0]
        if taps == 1:  # oneDNN has only a slow path for this convolution
            return F.linear(x, self.weight.squeeze(2), self.bias)
        if self.training and taps >= 7 and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            # Halves the time of a step's largest convolutions. Not in inference: for short inputs, transforming the
            # filters costs more than it saves.
            return winograd_conv1d(x, self.weight, self.bias)
        if x.is_cuda:
            # An image of height 1 stays channels-last; PyTorch copies three-dimensional inputs to [B, C, T].
            image, weight = x.transpose(1, 2).unsqueeze(2), self.weight.unsqueeze(2)
            return F.conv2d(image, weight, self.bias, padding=(0, taps // 2)).squeeze(2).transpose(1, 2)
        return super().forward(x.transpose(1, 2)).transpose(1, 2)
