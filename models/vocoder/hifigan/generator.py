"""The HiFi-GAN generator (Kong et al., arXiv:2010.05646, section 2.2 and appendix A.1), of any shape.

This file uses the layout [B, C, T] of convolutions; callers convert from the toolkit's [B, T, C]. Parameter names are
those of the published checkpoints without weight norm: a state dict with folded weight norm loads unchanged.

On a GPU the layers convolve images of height 1, [B, C, 1, T], which cuDNN accepts channels-last; PyTorch would copy
three-dimensional inputs to another layout and back.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAKY_SLOPE = 0.1
# The last activation has PyTorch's default slope: an oversight in the paper's code that all trained weights share.
LAST_LEAKY_SLOPE = 0.01


# Largest padding of oneDNN's fast convolution for AVX2 (its register block less one sample). With more, oneDNN uses a
# general one, 1.5 to 3 times as slow; padding with a copy beforehand costs a fraction of that.
_ONEDNN_PADDING = 3


class SameConv1d(nn.Conv1d):
    """Convolution on [B, C, T] that keeps T; parameters as in `nn.Conv1d`."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1) -> None:
        """Builds the layers.

        Args:
            in_channels: channels of the input.
            out_channels: channels of the output.
            kernel_size: taps, odd.
            dilation: samples between taps.
        """
        self.reach = dilation * (kernel_size - 1) // 2  # samples on either side that an output depends on
        super().__init__(in_channels, out_channels, kernel_size, dilation=dilation, padding=self.reach)

    def forward(self, x: Tensor) -> Tensor:
        """Applies the convolution.

        Args:
            x: [B, in_channels, T].

        Returns:
            [B, out_channels, T].
        """
        if x.device.type == "cpu" and self.reach > _ONEDNN_PADDING:
            padded = F.pad(x, (self.reach, self.reach))
            return F.conv1d(padded, self.weight, self.bias, dilation=self.dilation)
        if x.is_cuda:
            image, weight = x.unsqueeze(2), self.weight.unsqueeze(2)
            return F.conv2d(image, weight, self.bias, 1, (0, self.reach), (1, self.dilation[0])).squeeze(2)
        return super().forward(x)


class Upsample1d(nn.ConvTranspose1d):
    """Transposed convolution on [B, C, T] that returns `rate` times as many samples; PyTorch's parameters."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, rate: int) -> None:
        """Builds the layer.

        Args:
            in_channels: channels of the input.
            out_channels: channels of the output.
            kernel_size: taps, `rate` plus an even number.
            rate: samples per input sample.
        """
        super().__init__(in_channels, out_channels, kernel_size, rate, padding=(kernel_size - rate) // 2)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Applies the transposed convolution.

        Args:
            input: [B, in_channels, T].
            output_size: as in PyTorch.

        Returns:
            [B, out_channels, T * rate].
        """
        if input.is_cuda and output_size is None:
            image, weight = input.unsqueeze(2), self.weight.unsqueeze(2)
            stride, padding = (1, self.stride[0]), (0, int(self.padding[0]))
            return F.conv_transpose2d(image, weight, self.bias, stride, padding).squeeze(2)
        return super().forward(input, output_size)


def _masked(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask


class ResBlock1(nn.Module):
    """Residual pairs of a dilated and a plain convolution (V1 and V2).

    Shapes: B batch, C channels, T samples at this block's rate.
    """

    def __init__(self, channels: int, kernel_size: int, dilations: Sequence[int]) -> None:
        """Builds the layers.

        Args:
            channels: of input and output.
            kernel_size: odd.
            dilations: one per residual pair.
        """
        super().__init__()
        self.convs1 = nn.ModuleList(SameConv1d(channels, channels, kernel_size, d) for d in dilations)
        self.convs2 = nn.ModuleList(SameConv1d(channels, channels, kernel_size) for _ in dilations)
        # Samples on either side that an output depends on.
        self.reach = sum((dilation + 1) * (kernel_size // 2) for dilation in dilations)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Applies the block.

        Args:
            x: [B, C, T], 0 where the mask is 0.
            mask: [B, 1, T], 1 inside an utterance, or None.

        Returns:
            [B, C, T].
        """
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            y = _masked(dilated(F.leaky_relu(x, LEAKY_SLOPE)), mask)
            x = x + _masked(plain(F.leaky_relu(y, LEAKY_SLOPE)), mask)
        return x


class ResBlock2(nn.Module):
    """Residual dilated convolutions (V3).

    Shapes: B batch, C channels, T samples at this block's rate.
    """

    def __init__(self, channels: int, kernel_size: int, dilations: Sequence[int]) -> None:
        """Builds the layers.

        Args:
            channels: of input and output.
            kernel_size: odd.
            dilations: one per residual convolution.
        """
        super().__init__()
        self.convs = nn.ModuleList(SameConv1d(channels, channels, kernel_size, d) for d in dilations)
        # Samples on either side that an output depends on.
        self.reach = sum(dilation * (kernel_size // 2) for dilation in dilations)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Applies the block.

        Args:
            x: [B, C, T], 0 where the mask is 0.
            mask: [B, 1, T], 1 inside an utterance, or None.

        Returns:
            [B, C, T].
        """
        for conv in self.convs:
            x = x + _masked(conv(F.leaky_relu(x, LEAKY_SLOPE)), mask)
        return x


class HiFiGANGenerator(nn.Module):
    """Turns log-mel frames into a waveform; every frame becomes prod(upsample_rates) samples.

    Shapes: B batch, T mel frames, N = T * prod(upsample_rates) samples.
    """

    def __init__(
        self,
        n_mel: int,
        resblock: str,
        upsample_rates: Sequence[int],
        upsample_kernel_sizes: Sequence[int],
        upsample_initial_channel: int,
        resblock_kernel_sizes: Sequence[int],
        resblock_dilation_sizes: Sequence[Sequence[int]],
    ) -> None:
        """Builds the network.

        Args:
            n_mel: mel bands.
            resblock: "1" or "2".
            upsample_rates: samples per input sample of each upsampling layer. This and the following are as in the
                paper's Table 4 and code.
            upsample_kernel_sizes: taps of each upsampling layer.
            upsample_initial_channel: channels before the first upsampling layer; each layer halves them.
            resblock_kernel_sizes: taps of the residual blocks after each upsampling layer.
            resblock_dilation_sizes: dilations of each of these blocks.

        Raises:
            ValueError: the lists do not fit together, or a layer could not keep N = T * prod(upsample_rates).
        """
        super().__init__()
        if resblock not in ("1", "2"):
            raise ValueError(f'resblock must be "1" or "2", not {resblock!r}')
        if len(upsample_rates) != len(upsample_kernel_sizes):
            raise ValueError("upsample_rates and upsample_kernel_sizes must be equally long")
        if len(resblock_kernel_sizes) != len(resblock_dilation_sizes) or not resblock_kernel_sizes:
            raise ValueError("resblock_kernel_sizes and resblock_dilation_sizes must be equally long, and not empty")
        for rate, kernel in zip(upsample_rates, upsample_kernel_sizes, strict=True):
            if kernel < rate or (kernel - rate) % 2:
                raise ValueError(f"upsample kernel {kernel} must be its rate {rate} plus an even number")
        if any(kernel % 2 == 0 for kernel in resblock_kernel_sizes):
            raise ValueError("resblock_kernel_sizes must be odd")
        if upsample_initial_channel % 2 ** len(upsample_rates):
            raise ValueError("upsample_initial_channel must be divisible by 2 for every upsampling layer")

        self.hop_size = prod(upsample_rates)
        self.upsample_rates = tuple(upsample_rates)
        self.num_kernels = len(resblock_kernel_sizes)
        block = ResBlock1 if resblock == "1" else ResBlock2
        channels = upsample_initial_channel
        self.conv_pre = SameConv1d(n_mel, channels, 7)
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()  # flat, num_kernels per layer, as the published checkpoints number them
        for rate, kernel in zip(upsample_rates, upsample_kernel_sizes, strict=True):
            self.ups.append(Upsample1d(channels, channels // 2, kernel, rate))
            channels //= 2
            for size, dilations in zip(resblock_kernel_sizes, resblock_dilation_sizes, strict=True):
                self.resblocks.append(block(channels, size, dilations))
        self.conv_post = SameConv1d(channels, 1, 7)

    def initialize(self) -> None:
        """Draws the initial weights for training: small ones, except in the first layer.

        The paper's code intends the same, but it adds weight norm before, which undoes it and leaves PyTorch's default
        weights. Small weights learn faster: a mel L1 of 1.01 instead of 1.17 after 240 steps, and of 1.17 instead of
        1.25 with another seed (a generator of 128 channels, only the mel loss).
        """
        for part in (self.ups, self.resblocks, self.conv_post):
            for module in part.modules():
                if isinstance(module, (nn.Conv1d, nn.ConvTranspose1d)):
                    nn.init.normal_(module.weight, 0.0, 0.01)

    def forward(self, mel: Tensor, mel_lengths: Tensor | None = None) -> Tensor:
        """Synthesizes; with mel_lengths, a row has the same samples alone and in any batch.

        Outside a single utterance, convolutions pad with zeros; in a batch, the padding of a row would be filled by the
        biases. Therefore every layer's output is set to zero there. Without mel_lengths no mask is computed.

        Args:
            mel: [B, n_mel, T] log-mel.
            mel_lengths: [B] int64 frames; None: every row has T.

        Returns:
            Waveforms [B, 1, N] in -1..1, 0 after a row's end. float32 even with weights in half precision, whose steps
            of up to 2^-11 would be audible.
        """
        mask = None
        if mel_lengths is not None:
            frames = torch.arange(mel.shape[-1], device=mel.device)
            mask = (frames < mel_lengths[:, None])[:, None].to(mel.dtype)
        if mel.is_cuda:  # channels-last for tensor cores; every layer below keeps this layout
            mel = mel.transpose(1, 2).contiguous().transpose(1, 2)
        x = _masked(self.conv_pre(_masked(mel, mask)), mask)
        for i, (up, rate) in enumerate(zip(self.ups, self.upsample_rates, strict=True)):
            if mask is not None:
                mask = mask.repeat_interleave(rate, dim=-1)
            x = _masked(up(F.leaky_relu(x, LEAKY_SLOPE)), mask)
            blocks: Any = self.resblocks[i * self.num_kernels : (i + 1) * self.num_kernels]
            total = blocks[0](x, mask)
            for block in blocks[1:]:
                total = total + block(x, mask)
            x = total / self.num_kernels
        x = self.conv_post(F.leaky_relu(x, LAST_LEAKY_SLOPE))
        return _masked(torch.tanh(x.float()), mask)

    def receptive_field(self) -> tuple[int, int]:
        """Returns how many frames before and after a frame its samples depend on.

        A part of a row, extended by this many frames on either side, has exactly the samples of the whole row within
        the part.
        """
        # From the last layer to the first.
        first, last = -self.conv_post.reach, self.hop_size - 1 + self.conv_post.reach
        for i in reversed(range(len(self.ups))):
            blocks: Any = self.resblocks[i * self.num_kernels : (i + 1) * self.num_kernels]
            reach = max(block.reach for block in blocks)
            (kernel,), (rate,), (padding,) = (getattr(self.ups[i], n) for n in ("kernel_size", "stride", "padding"))
            # Sample o of a transposed convolution depends on the inputs i with 0 <= o + padding - i * rate < kernel.
            first = -(-(first - reach + padding - kernel + 1) // rate)
            last = (last + reach + padding) // rate
        return self.conv_pre.reach - first, last + self.conv_pre.reach
