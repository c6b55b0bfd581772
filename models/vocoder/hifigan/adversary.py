"""HiFi-GAN's discriminators, including the adversarial losses."""

from dataclasses import asdict

from torch import Tensor

from models.vocoder.adversary import Adversary
from models.vocoder.hifigan.config import DiscriminatorConfig
from models.vocoder.hifigan.discriminators import HiFiGANDiscriminator, Judgement


class HiFiGANAdversary(Adversary, HiFiGANDiscriminator):  # type: ignore[misc]  # both bases define forward: the first one is used
    """The discriminators of periods and of scales."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        """Builds the layers.

        Args:
            config: the shape of the discriminators.
        """
        super().__init__(**asdict(config))

    def judge(self, wav: Tensor) -> Judgement:
        """Returns scores and features of waveforms [B, 1, N], one entry per discriminator."""
        return HiFiGANDiscriminator.forward(self, wav)
