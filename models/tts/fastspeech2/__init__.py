"""FastSpeech 2 (Ren et al. 2021, arXiv:2006.04558)."""

from config.registry import Model
from config.schema import PreprocessConfig
from models.tts.fastspeech2.config import FastSpeech2Config, FastSpeech2TrainConfig

MODEL = Model(
    role="acoustic",
    model=FastSpeech2Config,
    preprocess=PreprocessConfig,
    train=FastSpeech2TrainConfig,
    trainer="models.tts.fastspeech2.trainer.FastSpeech2Trainer",
    load="models.tts.fastspeech2.load.load_fastspeech2",
)
