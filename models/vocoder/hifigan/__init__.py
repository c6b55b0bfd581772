"""HiFi-GAN (Kong et al. 2020, arXiv:2010.05646)."""

from config.registry import Model
from config.schema import VocoderPreprocessConfig
from models.vocoder.hifigan.config import HiFiGANConfig, HiFiGANTrainConfig

MODEL = Model(
    role="vocoder",
    model=HiFiGANConfig,
    preprocess=VocoderPreprocessConfig,
    train=HiFiGANTrainConfig,
    trainer="models.vocoder.hifigan.trainer.HiFiGANTrainer",
    load="models.vocoder.hifigan.load.load_vocoder",
)
