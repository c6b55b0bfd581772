"""A one-dimensional convolution in the layout of everything around it."""

from torch import Tensor, nn


class Conv1d(nn.Conv1d):
    """Convolution over time on [B, T, C], zero-padded so that T stays; parameters and numbers are those of `nn.Conv1d`.

    The transposition is a view: oneDNN and cuDNN take it as channels-last, so that no copy is made.
    """

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
        return super().forward(x.transpose(1, 2)).transpose(1, 2)
