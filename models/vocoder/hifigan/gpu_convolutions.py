"""The discriminators' convolutions in forms that run on a GPU's tensor cores, with the results of `conv2d`.

cuDNN has fast kernels for dense channels-last convolutions with many channels and at most 32 taps. Layers with a single
input or output channel, with groups, or with 41 taps used kernels without tensor cores: 130 of the 182 ms of a step of
batch 16 on an H200. All functions below return channels-last tensors.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

_ALIGNED = 8  # tensor cores need matrix dimensions that are multiples of this (bfloat16)
_MOST_TAPS = 32
_BLOCK_CHANNELS = 64  # minimum of output channels per dense block
_MOST_BLOCKS = 8


def conv_from_one(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
    """Computes a convolution of one channel over the last axis as a matrix product with every window.

    Args:
        x: [B, 1, P, T].
        weight: [O, 1, 1, k].
        bias: [O].
        stride, padding: along T.

    Returns:
        [B, O, P, T'].
    """
    taps = weight.shape[-1]
    extra = -taps % _ALIGNED  # taps of weight 0
    windows = F.pad(x.squeeze(1), (padding, padding + extra)).unfold(-1, taps + extra, stride)
    return F.linear(windows, F.pad(weight.flatten(1), (0, extra)), bias).permute(0, 3, 1, 2)


def conv_to_one(x: Tensor, weight: Tensor, bias: Tensor, padding: int) -> Tensor:
    """Computes a convolution to one channel over the last axis as a matrix product with shifted and summed columns.

    Args:
        x: [B, C, P, T].
        weight: [1, C, 1, k].
        bias: [1].
        padding: along T, (k - 1) / 2.

    Returns:
        [B, 1, P, T].
    """
    taps, length = weight.shape[-1], x.shape[-1]
    matrix = F.pad(weight[0, :, 0].t(), (0, 0, 0, -taps % _ALIGNED))
    products = F.pad(F.linear(x.permute(0, 2, 3, 1), matrix), (0, 0, padding, padding))
    shifted = torch.stack([products[:, :, tap : tap + length, tap] for tap in range(taps)])
    return (shifted.sum(0) + bias).unsqueeze(1)


def block_conv(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int, groups: int) -> Tensor:
    """Computes a grouped convolution over the last axis as a few dense ones with block-diagonal weights.

    Few, because cuDNN runs groups one by one. Long filters are folded, so that taps become channels: neighboring
    samples of a strided convolution (space to depth), or a second copy of the samples, half a filter later.

    Args:
        x: [B, C, 1, T].
        weight: [O, C // groups, 1, k].
        bias: [O].
        stride, padding: along T.
        groups: of the convolution.

    Returns:
        [B, O, 1, T'].
    """
    blocks = max(1, min(groups, _MOST_BLOCKS, weight.shape[0] // _BLOCK_CHANNELS))
    while groups % blocks:
        blocks -= 1
    dense = _block_diagonal(weight, groups, blocks)  # [blocks, O / blocks, C / blocks, k]
    taps = weight.shape[-1]
    parts: Sequence[Tensor] | Tensor
    if taps <= _MOST_TAPS:
        parts, kernels = x.chunk(blocks, 1), dense.unsqueeze(3)
    else:
        # A view whose gradient keeps its layout; the gradient of a selected row would not.
        parts, kernels, padding = _folded(x.squeeze(2).transpose(1, 2), dense, stride, padding)
        stride = 1
    outputs = [
        F.conv2d(part, kernel, offset, (1, stride), (0, padding))
        for part, kernel, offset in zip(parts, kernels, bias.chunk(blocks), strict=True)
    ]
    return torch.cat(outputs, 1)


def _block_diagonal(weight: Tensor, groups: int, blocks: int) -> Tensor:
    """Expands [O, C // groups, 1, k] to [blocks, O / blocks, C / blocks, k], 0 between groups."""
    out_channels, group_channels, _, taps = weight.shape
    merged = groups // blocks
    parts = weight.reshape(blocks, merged, out_channels // groups, group_channels, taps)
    # [blocks, merged, O / groups, merged, C / groups, k]: 0 where the two group indices differ
    dense = torch.diag_embed(parts.movedim(1, -1), dim1=1, dim2=3)
    return dense.reshape(blocks, out_channels // blocks, merged * group_channels, taps)


def _folded(x: Tensor, dense: Tensor, stride: int, padding: int) -> tuple[Tensor, Tensor, int]:
    """Folds a convolution into an equivalent one of stride 1 with fewer taps and more channels.

    Args:
        x: [B, T, C].
        dense: [blocks, O, C / blocks, k].
        stride, padding: of the convolution.

    Returns:
        Inputs [blocks, B, channels, 1, positions], each channels-last; kernels [blocks, O, channels, 1, taps]; padding.
    """
    blocks, out_channels, block_channels, taps = dense.shape
    length = x.shape[1]
    frames = (length + 2 * padding - taps) // stride + 1
    phases = max(stride, 2)
    folded_taps = -(-taps // phases)
    positions = frames - 1 + folded_taps
    dense = F.pad(dense, (0, phases * folded_taps - taps))
    if stride == 1:
        x = F.pad(x, (0, 0, padding, positions + folded_taps - length - padding))
        x, padding = torch.stack([x[:, :positions], x[:, folded_taps:]], 2), 0
        kernels = dense.unflatten(-1, (phases, folded_taps)).transpose(-1, -2)
    else:
        kernels = dense.unflatten(-1, (folded_taps, phases))
        if length % stride == 0 and padding % stride == 0 and positions == length // stride + 2 * (padding // stride):
            padding //= stride  # the convolution pads without a copy
        else:
            x, padding = F.pad(x, (0, 0, padding, stride * positions - length - padding)), 0
        x = x.unflatten(1, (-1, stride))
    # x [B, positions, phases, C], kernels [blocks, O, C / blocks, taps, phases]
    x = x.unflatten(-1, (blocks, block_channels)).permute(3, 0, 1, 2, 4).flatten(3)
    kernels = kernels.permute(0, 1, 4, 2, 3).reshape(blocks, out_channels, phases * block_channels, 1, folded_taps)
    return x.transpose(2, 3).unsqueeze(3), kernels, padding
