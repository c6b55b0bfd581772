"""A light source-filter vocoder with an inverse STFT, which trains in an hour on a CPU."""

from config.registry import Model
from config.schema import PitchedVocoderPreprocessConfig
from models.vocoder.sourcefilter.config import SourceFilterConfig, SourceFilterTrainConfig

MODEL = Model(
    role="vocoder",
    model=SourceFilterConfig,
    preprocess=PitchedVocoderPreprocessConfig,
    train=SourceFilterTrainConfig,
    trainer="models.vocoder.sourcefilter.trainer.SourceFilterTrainer",
    load="models.vocoder.sourcefilter.load.load_vocoder",
)
