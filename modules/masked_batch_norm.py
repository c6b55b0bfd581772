"""Batch normalization whose statistics depend neither on padding nor on the number of processes."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class MaskedBatchNorm1d(nn.BatchNorm1d):
    """Batch normalization (arXiv:1502.03167) over the valid positions of [B, T, C]; state dict as `nn.BatchNorm1d`.

    In training, mean and variance, also the running ones, are those of the positions that are not padding, in float32;
    with several processes, of the positions of all of them. They are computed as sums, which do not gather the valid
    positions and so never wait for the device.
    """

    momentum: float
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Normalizes each channel; in training, also updates the running statistics.

        Args:
            x: [B, T, C] float; the values on padding must be finite, but have no effect.
            padding_mask: [B, T] bool, True = padding; None: every position counts.

        Returns:
            [B, T, C] float32, undefined on padding.
        """
        x = x.float()
        mean, variance = self.running_mean, self.running_var
        if self.training:
            mean, variance = self._statistics(x, padding_mask)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias - mean * scale, x, scale)

    def _statistics(self, x: Tensor, padding_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Returns mean and biased variance [C] of the valid positions; updates the running statistics."""
        if padding_mask is None:
            padding_mask = torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
        padding = padding_mask.unsqueeze(-1)
        sums = torch.cat([x.masked_fill(padding, 0).sum(dim=(0, 1)), (~padding_mask).sum()[None].to(x.dtype)])
        total, count = _sum_over_processes(sums).split([x.size(-1), 1])
        count = count.clamp(min=1)
        mean = total / count
        centered = (x - mean).masked_fill(padding, 0)
        variance = _sum_over_processes(centered.square().sum(dim=(0, 1))) / count
        with torch.no_grad():
            unbiased = variance * (count / (count - 1).clamp(min=1))
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
            self.num_batches_tracked.add_(1)
        return mean, variance


def _sum_over_processes(x: Tensor) -> Tensor:
    """Sums a tensor over all processes of a training run."""
    return _SumOverProcesses.apply(x) if dist.is_initialized() and dist.get_world_size() > 1 else x


class _SumOverProcesses(torch.autograd.Function):
    """y = sum of x over processes; every process's loss depends on y, so the gradients are summed, too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        dist.all_reduce(gradient)
        return gradient
