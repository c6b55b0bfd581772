"""A light vocoder of a source, a filter and an inverse STFT, which a CPU trains in an hour."""

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
