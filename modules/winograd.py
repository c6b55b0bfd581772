"""Long convolutions with half the multiplications (Winograd's minimal filtering, arXiv:1509.09308, sec. 4.1)."""

import torch
import torch.nn.functional as F
from torch import Tensor

# F(4, 3): 4 outputs of a 3-tap filter with 6 products instead of 12, from the points 0, 1, -1, 2, -2 and infinity.
_INPUT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_FILTER = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_OUTPUT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))
_STEP, _TAPS, _POINTS = 4, 3, 6


def winograd_conv1d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolves, keeping T: splits the filter into groups of 3 taps and sums their products before the last step.

    With 9 taps it needs half the multiplications of `conv1d`. Its rounding error is about 7 times as large: 1e-5 for
    outputs of about 1. Differentiable.

    Args:
        x: [B, T, in_channels] float32.
        weight: [out_channels, in_channels, taps] float32, an odd number of taps.
        bias: [out_channels] float32.

    Returns:
        [B, T, out_channels] float32.
    """
    batch, length, channels = x.shape
    out_channels, _, taps = weight.shape
    groups = -(-taps // _TAPS)
    tiles = -(-length // _STEP)
    chunks = -(-(_STEP + _TAPS * groups - 1) // _STEP)  # of 4 positions, that the outputs of a tile depend on

    filters = F.pad(weight, (0, _TAPS * groups - taps)).view(out_channels, channels, groups, _TAPS)
    filters = torch.einsum("pr,ocgr->pgco", x.new_tensor(_FILTER), filters)
    filters = filters.reshape(_POINTS, groups * channels, out_channels)

    left, right = taps // 2, _STEP * (tiles + chunks - 1) - length - taps // 2
    padded = F.pad(x, (0, 0, left, right)).view(batch, tiles + chunks - 1, _STEP, channels)
    receptive = torch.cat([padded[:, chunk : chunk + tiles] for chunk in range(chunks)], dim=2)
    transform = x.new_zeros(_POINTS, groups, _STEP * chunks)
    for group in range(groups):
        transform[:, group, _TAPS * group : _TAPS * group + _POINTS] = x.new_tensor(_INPUT)
    inputs = transform.view(_POINTS * groups, -1) @ receptive.view(batch * tiles, _STEP * chunks, channels)

    products = torch.bmm(inputs.view(batch * tiles, _POINTS, groups * channels).transpose(0, 1), filters)
    outputs = (x.new_tensor(_OUTPUT) @ products.view(_POINTS, -1)).view(_STEP, batch, tiles, out_channels)
    return outputs.permute(1, 2, 0, 3).reshape(batch, tiles * _STEP, out_channels)[:, :length] + bias
