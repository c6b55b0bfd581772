"""HiFi-GAN's discriminators (Kong et al., arXiv:2010.05646, sections 2.3 and 2.4), of any width.

Every sub-discriminator is a stack of one-dimensional convolutions over the last axis of [B, C, P, T]: for a period of P
samples, T samples of each of P interleaved signals; for a scale, P = 1. The weights have the shapes of the published
checkpoints, (k, 1) and (k), which have the same layout in memory, so convolving along the last axis needs no copy. On a
CPU, a forward and backward pass takes 0.86 of the time of (k, 1) kernels.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from models.vocoder.hifigan.gpu_convolutions import block_conv, conv_from_one, conv_to_one
from modules.reflection import reflected
from modules.weight_norm import add_weight_norm

LEAKY_SLOPE = 0.1
PERIOD_KERNEL, PERIOD_STRIDES = 5, (3, 3, 3, 3, 1)
SCALE_KERNELS = (15, 41, 41, 41, 41, 41, 5)
SCALE_STRIDES = (1, 2, 2, 4, 4, 1, 1)
SCALE_GROUPS = (1, 4, 16, 16, 16, 16, 1)
POST_KERNEL = 3
Judgement = tuple[list[Tensor], list[list[Tensor]]]  # scores and features, one item per sub-discriminator


def _convolve(conv: Any, x: Tensor) -> Tensor:
    """Applies a Conv1d, or a Conv2d of width 1, along the last axis of [B, C, P, T]."""
    with torch.autocast(x.device.type, enabled=False):  # weight norms are computed in float32
        weight = conv.weight.flatten(2).unsqueeze(2)
    stride, padding = conv.stride[0], int(conv.padding[0])
    if x.is_cuda and conv.bias is not None:
        if conv.in_channels == 1:
            return conv_from_one(x, weight, conv.bias, stride, padding)
        if conv.out_channels == 1:
            return conv_to_one(x, weight, conv.bias, padding)
        if conv.groups > 1:
            return block_conv(x, weight, conv.bias, stride, padding, conv.groups)
    return F.conv2d(x, weight, conv.bias, (1, stride), (0, padding), 1, conv.groups)


class _Stack(nn.Module):
    """Convolutions with leaky ReLUs, then one that computes the scores."""

    convs: nn.ModuleList
    conv_post: nn.Module

    def _judge(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores x [B, 1, P, T].

        Returns:
            Scores [B, P * T'], and the features [B, C, P, T'] of every layer, of which the last are the scores.
        """
        features: list[Tensor] = []
        for conv in self.convs:
            # In place, so that each layer is stored only once: the gradient needs only the output. Not for the first
            # layer on a GPU, whose output is a view: autograd would copy the gradient.
            x = F.leaky_relu(_convolve(conv, x), LEAKY_SLOPE, inplace=not x.is_cuda or len(features) > 0)
            features.append(x)
        features.append(_convolve(self.conv_post, x))
        return features[-1].flatten(1), features


class PeriodDiscriminator(_Stack):
    """Scores every P-th sample, and so the structure of signals with that period (section 2.3)."""

    def __init__(self, period: int, channels: Sequence[int]) -> None:
        """Builds the layers.

        Args:
            period: P in samples.
            channels: of the five layers.
        """
        super().__init__()
        self.period = period
        self.convs = nn.ModuleList()
        width = 1
        for out, stride in zip(channels, PERIOD_STRIDES, strict=True):
            kernel, padding = (PERIOD_KERNEL, 1), (PERIOD_KERNEL // 2, 0)
            self.convs.append(nn.Conv2d(width, out, kernel, (stride, 1), padding))
            width = out
        self.conv_post = nn.Conv2d(width, 1, (POST_KERNEL, 1), padding=(POST_KERNEL // 2, 0))
        add_weight_norm(self)

    def forward(self, wav: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores waveforms.

        Args:
            wav: [B, 1, N]; its end is extended by reflection to a multiple of the period.

        Returns:
            Scores [B, S], and the features [B, C, period, T] of six layers.
        """
        x = reflected(wav, 0, -wav.shape[-1] % self.period)
        return self._judge(x.unflatten(-1, (-1, self.period)).transpose(2, 3).contiguous())


class ScaleDiscriminator(_Stack):
    """Scores the waveform itself with long grouped convolutions (section 2.3; MelGAN, arXiv:1910.06711)."""

    def __init__(self, channels: Sequence[int], spectral: bool) -> None:
        """Builds the layers.

        Args:
            channels: of the seven layers, multiples of 16.
            spectral: use spectral norm instead of weight norm.
        """
        super().__init__()
        self.convs = nn.ModuleList()
        width = 1
        for out, kernel, stride, groups in zip(channels, SCALE_KERNELS, SCALE_STRIDES, SCALE_GROUPS, strict=True):
            self.convs.append(nn.Conv1d(width, out, kernel, stride, kernel // 2, groups=groups))
            width = out
        self.conv_post = nn.Conv1d(width, 1, POST_KERNEL, padding=POST_KERNEL // 2)
        if spectral:
            for conv in (*self.convs, self.conv_post):
                spectral_norm(conv)
        else:
            add_weight_norm(self)

    def forward(self, wav: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores waveforms.

        Args:
            wav: [B, 1, N].

        Returns:
            Scores [B, S], and the features [B, C, 1, T] of eight layers.
        """
        return self._judge(wav.unsqueeze(2))


def _check(wav: Tensor, least: int) -> None:
    if wav.dim() != 3 or wav.shape[1] != 1 or wav.shape[2] < least:
        raise ValueError(f"expected [B, 1, N] with N of at least {least} samples, got {tuple(wav.shape)}")


class MultiPeriodDiscriminator(nn.Module):
    """One discriminator per period."""

    def __init__(self, periods: Sequence[int], channels: Sequence[int]) -> None:
        """Builds the discriminators.

        Args:
            periods: samples (2, 3, 5, 7, 11 in the paper).
            channels: of the five layers of each.

        Raises:
            ValueError: a period is below 2, or the channels are not five.
        """
        super().__init__()
        if not periods or min(periods) < 2:
            raise ValueError(f"periods must be at least 2 samples, got {list(periods)}")
        self.discriminators = nn.ModuleList(PeriodDiscriminator(period, channels) for period in periods)
        self.longest = max(periods)

    def forward(self, wav: Tensor) -> Judgement:
        """Scores waveforms.

        Args:
            wav: [B, 1, N] in -1..1: recordings, resyntheses or both; rows do not affect each other.

        Returns:
            For each period the scores [B, S], 1 for a recording, and the features of every layer.

        Raises:
            ValueError: wav is not [B, 1, N], or shorter than the longest period.
        """
        _check(wav, self.longest)
        scores, features = zip(*(discriminator(wav) for discriminator in self.discriminators), strict=True)
        return list(scores), list(features)


class MultiScaleDiscriminator(nn.Module):
    """One discriminator for the waveform and one for each of its averages over 2, 4 ... samples.

    The first uses spectral norm: in training mode each call improves the estimates of the norms, which are buffers, by
    one power iteration (arXiv:1802.05957, sec. 2.1).
    """

    def __init__(self, num_scales: int, channels: Sequence[int]) -> None:
        """Builds the discriminators.

        Args:
            num_scales: 3 in the paper.
            channels: of the seven layers of each, multiples of 16.

        Raises:
            ValueError: the channels are not seven multiples of 16.
        """
        super().__init__()
        if any(width % max(SCALE_GROUPS) for width in channels):
            raise ValueError(f"channels must be multiples of {max(SCALE_GROUPS)}, got {list(channels)}")
        self.discriminators = nn.ModuleList(ScaleDiscriminator(channels, scale == 0) for scale in range(num_scales))

    def forward(self, wav: Tensor) -> Judgement:
        """Scores waveforms.

        Args:
            wav: [B, 1, N] in -1..1; rows do not affect each other.

        Returns:
            For each scale the scores [B, S], 1 for a recording, and the features of every layer.

        Raises:
            ValueError: wav is not [B, 1, N].
        """
        _check(wav, 1)
        scores, features = [], []
        for scale, discriminator in enumerate(self.discriminators):
            if scale:
                wav = F.avg_pool1d(wav, 4, 2, padding=2)
            score, layers = discriminator(wav)
            scores.append(score)
            features.append(layers)
        return scores, features


class HiFiGANDiscriminator(nn.Module):
    """Discriminators of periods and of scales.

    A published `do_*` file ({"mpd": ..., "msd": ...}) loads after `modules.weight_norm.current_names` has renamed its
    keys.
    """

    def __init__(
        self,
        periods: Sequence[int],
        period_channels: Sequence[int],
        num_scales: int,
        scale_channels: Sequence[int],
    ) -> None:
        """Builds both kinds; arguments as for MultiPeriodDiscriminator and MultiScaleDiscriminator.

        Raises:
            ValueError: an argument is not what those require.
        """
        super().__init__()
        self.mpd = MultiPeriodDiscriminator(periods, period_channels)
        self.msd = MultiScaleDiscriminator(num_scales, scale_channels)

    def forward(self, wav: Tensor) -> Judgement:
        """Scores waveforms.

        Args:
            wav: [B, 1, N] in -1..1; recordings and resyntheses may share a batch, rows do not affect each other.

        Returns:
            Scores [B, S] of every period, then of every scale, 1 for a recording; and their features.

        Raises:
            ValueError: wav is not [B, 1, N], or shorter than the longest period.
        """
        period_scores, period_features = self.mpd(wav)
        scale_scores, scale_features = self.msd(wav)
        return period_scores + scale_scores, period_features + scale_features
