"""A toy acoustic model: each phone is one spectrum and one duration, both learned."""

from dataclasses import dataclass

from config.registry import Model
from config.schema import PreprocessConfig, Section, TrainConfig


@dataclass(frozen=True)
class ToyVoiceConfig(Section):
    max_seq_len: int = 1000


MODEL = Model(
    role="acoustic",
    model=ToyVoiceConfig,
    preprocess=PreprocessConfig,
    train=TrainConfig,
    trainer="toy_voice.model.ToyVoiceTrainer",
    load="toy_voice.model.load_toy_voice",
)
