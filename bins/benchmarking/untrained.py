"""Models with random weights, to measure how fast they are."""

import math
from dataclasses import asdict

import torch

from models.tts.fastspeech2.config import FastSpeech2Config
from models.tts.fastspeech2.model import FastSpeech2, FeatureStats
from models.vocoder.hifigan.config import HiFiGANConfig
from models.vocoder.hifigan.generator import HiFiGANGenerator
from models.vocoder.hifigan.vocoder import HiFiGANVocoder
from text.symbols import SYMBOLS


def untrained_acoustic_model(config: FastSpeech2Config, n_mel: int, device: torch.device) -> FastSpeech2:
    """FastSpeech 2 of one speaker, ready to speak; where it predicts durations, every phone lasts 6 frames."""
    stats = FeatureStats(200.0, 50.0, -2.0, 5.0, 40.0, 20.0, -2.0, 5.0)
    model = FastSpeech2(config, len(SYMBOLS), n_mel, 1, stats).to(device).eval()
    duration = model.variance_adaptor.duration_predictor.linear
    with torch.no_grad():
        duration.weight.zero_()
        duration.bias.fill_(math.log(6 + 1))
    return model


def untrained_vocoder(config: HiFiGANConfig, n_mel: int, device: torch.device) -> HiFiGANVocoder:
    """HiFi-GAN, in the precision in which `load_vocoder` would load it."""
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    generator = HiFiGANGenerator(n_mel, **asdict(config.generator)).to(device, dtype).eval()
    return HiFiGANVocoder(generator.requires_grad_(False), {}, "untrained")
