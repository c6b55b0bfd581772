"""A toy vocoder: each frame's samples are a linear function of its mel."""

from dataclasses import dataclass

from config.registry import Model
from config.schema import Section, TrainConfig, VocoderPreprocessConfig


@dataclass(frozen=True)
class ToyVocoderConfig(Section):
    pass


@dataclass(frozen=True)
class ToyVocoderTrainConfig(TrainConfig):
    segment_size: int = 4096
    num_valid_clips: int = 1
    ema_decay: float | None = None


MODEL = Model(
    role="vocoder",
    model=ToyVocoderConfig,
    preprocess=VocoderPreprocessConfig,
    train=ToyVocoderTrainConfig,
    trainer="toy_vocoder.model.ToyVocoderTrainer",
    load="toy_vocoder.model.load_toy_vocoder",
)
