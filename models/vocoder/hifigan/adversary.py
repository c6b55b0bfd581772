"""HiFi-GAN's discriminators together with the losses that they give."""

from dataclasses import asdict

from torch import Tensor

from models.vocoder.adversary import Adversary
from models.vocoder.hifigan.config import DiscriminatorConfig
from models.vocoder.hifigan.discriminators import HiFiGANDiscriminator, Judgement


class HiFiGANAdversary(Adversary, HiFiGANDiscriminator):  # type: ignore[misc]  # two forwards: the first counts
    """The discriminators of periods and of scales."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        """Builds the layers.

        Args:
            config: its shape.
        """
        super().__init__(**asdict(config))

    def judge(self, wav: Tensor) -> Judgement:
        """Scores and features of waveforms [B, 1, N]."""
        return HiFiGANDiscriminator.forward(self, wav)
