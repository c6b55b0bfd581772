"""Training losses of HiFi-GAN (arXiv:2010.05646, sec. 2.4; least squares: arXiv:1611.04076)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Scores = Sequence[Tensor]  # [B, S] of each sub-discriminator
Features = Sequence[Sequence[Tensor]]  # [B, C, P, T] of each layer of each sub-discriminator


def discriminator_loss(real: Scores, fake: Scores) -> Tensor:
    """Computes the squared distance of the scores from 1 for recordings and from 0 for resyntheses (eq. 1).

    Args:
        real: scores of recordings.
        fake: scores of resyntheses.

    Returns:
        Scalar, float32: the mean over the scores of each sub-discriminator, summed over all of them, for both inputs.
    """
    return _mean_square(real, 1.0) + _mean_square(fake, 0.0)


def adversarial_loss(fake: Scores) -> Tensor:
    """Computes the generator's adversarial loss: the squared distance of resyntheses' scores from 1 (eq. 2).

    Args:
        fake: scores of resyntheses.

    Returns:
        Scalar, float32: the mean over the scores of each sub-discriminator, summed.
    """
    return _mean_square(fake, 1.0)


def feature_matching_loss(real: Features, fake: Features) -> Tensor:
    """Computes the mean distance of the features of recordings and resyntheses per layer, summed over layers (eq. 4).

    No gradient flows into the recordings' features.

    Args:
        real: features of recordings.
        fake: features of their resyntheses, with the same shapes.

    Returns:
        Scalar, float32.

    Raises:
        ValueError: real and fake differ in discriminators, layers or shapes.
    """
    pairs = [pair for layers in zip(real, fake, strict=True) for pair in zip(*layers, strict=True)]
    if any(a.shape != b.shape for a, b in pairs):
        raise ValueError("features of recordings and of their resyntheses must have the same shapes")
    # Autocast would first copy every feature to float32; the kernel sums in float32 anyway.
    with torch.autocast(pairs[0][0].device.type, enabled=False):
        return torch.stack([F.l1_loss(b, a.detach()) for a, b in pairs]).float().sum()


def _mean_square(scores: Scores, target: float) -> Tensor:
    """Sums the mean of (score - target)^2 of each sub-discriminator, in float32."""
    return torch.stack([(score.float() - target).square().mean() for score in scores]).sum()
