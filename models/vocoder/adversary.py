"""Base class of the discriminators, including the adversarial losses."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from models.vocoder.hifigan.discriminators import Judgement
from models.vocoder.hifigan.loss import adversarial_loss, discriminator_loss, feature_matching_loss


class Adversary(nn.Module):
    """Distinguishes recordings from synthesized speech.

    The losses are computed inside this module, so that it returns only scalars: under mixed precision every output of a
    model is converted to float32, and the features are large. The only effect of training mode is that each pass
    improves the estimates of the spectral norms, if there are any; once per step is enough.
    """

    def judge(self, wav: Tensor) -> Judgement:
        """Returns scores and features of waveforms [B, 1, N], one entry per discriminator."""
        raise NotImplementedError

    def forward(self, real: Tensor, fake: Tensor) -> Tensor:
        """Computes the loss of the discriminators (arXiv:2010.05646, eq. 1).

        Args:
            real: [B, 1, N] recordings.
            fake: [B, 1, N] synthesized, detached.

        Returns:
            Scalar, float32.
        """
        scores, _ = self.judge(torch.cat([real, fake]))  # one pass for both
        return discriminator_loss(*_halves(scores))

    def generator_losses(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Computes the adversarial losses of the generator (arXiv:2010.05646, eq. 2 and 4).

        The discriminators get no gradients.

        Args:
            real: [B, 1, N] recordings.
            fake: [B, 1, N] synthesized, with its autograd graph.

        Returns:
            Scalars, float32: "adversarial" and "feature".
        """
        self.eval().requires_grad_(False)
        with parametrize.cached():  # both passes share the normalized weights
            with torch.no_grad():  # a joint pass with `fake` would double the cost of the backward pass
                _, real_features = self.judge(real)
            scores, fake_features = self.judge(fake)
        self.requires_grad_(True)
        return {
            "adversarial": adversarial_loss(scores),
            "feature": feature_matching_loss(real_features, fake_features),
        }


def _halves(tensors: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Splits each batch into its first and its second half."""
    real, fake = zip(*(tensor.chunk(2) for tensor in tensors), strict=True)
    return list(real), list(fake)
