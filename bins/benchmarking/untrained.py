"""Builds models with random weights, to measure their speed."""

import math
from dataclasses import asdict

import torch

from config.schema import ExpConfig
from models.tts.fastspeech2.config import FastSpeech2Config
from models.tts.fastspeech2.model import FastSpeech2, FeatureStats
from models.vocoder.hifigan.generator import HiFiGANGenerator
from models.vocoder.hifigan.vocoder import HiFiGANVocoder
from models.vocoder.load import Vocoder
from models.vocoder.sourcefilter.config import SourceFilterConfig
from models.vocoder.sourcefilter.generator import SourceFilterGenerator
from models.vocoder.sourcefilter.vocoder import SourceFilterVocoder
from text.symbols import SYMBOLS


def untrained_acoustic_model(config: FastSpeech2Config, n_mel: int, device: torch.device) -> FastSpeech2:
    """Builds a FastSpeech 2 with one speaker for inference; every predicted duration is 6 frames."""
    stats = FeatureStats(200.0, 50.0, -2.0, 5.0, 40.0, 20.0, -2.0, 5.0)
    model = FastSpeech2(config, len(SYMBOLS), n_mel, 1, stats).to(device).eval()
    duration = model.variance_adaptor.duration_predictor.linear
    with torch.no_grad():
        duration.weight.zero_()
        duration.bias.fill_(math.log(6 + 1))
    return model


def untrained_vocoder(config: ExpConfig, device: torch.device) -> Vocoder:
    """Builds the vocoder of a config, with the precision that `load_vocoder` would use."""
    mel = config.preprocess.mel
    if isinstance(config.model, SourceFilterConfig):
        source_filter = SourceFilterGenerator(mel, **asdict(config.model.generator)).to(device).eval()
        return SourceFilterVocoder(source_filter.requires_grad_(False), {}, "untrained")
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    generator = HiFiGANGenerator(mel.n_mel, **asdict(config.model.generator)).to(device, dtype).eval()
    return HiFiGANVocoder(generator.requires_grad_(False), {}, "untrained")
