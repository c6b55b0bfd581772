"""Discriminators together with the losses that they give."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from models.vocoder.hifigan.discriminators import Judgement
from models.vocoder.hifigan.loss import adversarial_loss, discriminator_loss, feature_matching_loss


class Adversary(nn.Module):
    """Distinguishes recordings from synthesized speech. Losses are computed in here, so that only scalars leave it.

    (Whatever leaves a model under mixed precision is converted to float32, and the features are large.) Training mode
    only means that a pass improves the estimate of a spectral norm, where there is one: once a step is enough.
    """

    def judge(self, wav: Tensor) -> Judgement:
        """Scores and features of waveforms [B, 1, N], one of each a discriminator."""
        raise NotImplementedError

    def forward(self, real: Tensor, fake: Tensor) -> Tensor:
        """The loss of the discriminators (arXiv:2010.05646, eq. 1).

        Args:
            real: [B, 1, N] recordings.
            fake: [B, 1, N] synthesized, detached.

        Returns:
            Scalar, float32.
        """
        scores, _ = self.judge(torch.cat([real, fake]))  # one pass for both
        return discriminator_loss(*_halves(scores))

    def generator_losses(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The adversarial losses of the generator (arXiv:2010.05646, eq. 2 and 4). The discriminators get no gradients.

        Args:
            real: [B, 1, N] recordings.
            fake: [B, 1, N] synthesized, with its graph.

        Returns:
            Scalars, float32: "adversarial" and "feature".
        """
        self.eval().requires_grad_(False)
        with parametrize.cached():  # the weights' norms are computed once for both passes
            with torch.no_grad():  # not in one pass with the fake, whose way back it would make twice as long
                _, real_features = self.judge(real)
            scores, fake_features = self.judge(fake)
        self.requires_grad_(True)
        return {
            "adversarial": adversarial_loss(scores),
            "feature": feature_matching_loss(real_features, fake_features),
        }


def _halves(tensors: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """The first and the second half of each batch."""
    real, fake = zip(*(tensor.chunk(2) for tensor in tensors), strict=True)
    return list(real), list(fake)
