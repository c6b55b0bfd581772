"""A toy vocoder: each frame's samples are a linear function of its mel."""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn

from config.load import load_config
from config.registry import Model
from config.schema import Section, TrainConfig, VocoderPreprocessConfig
from models.vocoder.chunked import ChunkedVocoder
from models.vocoder.hifigan.published.checkpoint_files import find_shape, find_weights
from models.vocoder.trainer import VocoderTrainer
from utils.checkpoint import load_strict, read_weights


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
    trainer="toy_vocoder.ToyVocoderTrainer",
    load="toy_vocoder.load_toy_vocoder",
)


class ToyGenerator(nn.Module):
    def __init__(self, n_mel, hop_size):
        super().__init__()
        self.linear = nn.Linear(n_mel, hop_size)

    def forward(self, mel):
        return self.linear(mel).tanh().flatten(1)


class ToyVocoderTrainer(VocoderTrainer):
    checkpoint_files = VocoderTrainer.checkpoint_files[:4]

    def build(self):
        self.build_data()
        mel = self.config.preprocess.mel
        generator = ToyGenerator(mel.n_mel, mel.hop_size)
        self.model, optimizer = self.accelerator.prepare(generator, torch.optim.Adam(generator.parameters(), 1e-3))
        self.optimizers = [optimizer]
        self.average = None

    def learning_rate(self, step):
        return 1e-3

    def losses(self, batch, counts):
        made = self.model(self.input_mel_of(batch))
        return {"total": F.l1_loss(made, self.target(batch)[:, 0])}

    def resynthesize(self, generator, mel):
        return generator(mel)


class ToyVocoder(ChunkedVocoder):
    def __init__(self, generator, mel, source):
        super().__init__(mel.hop_size, (0, 0), asdict(mel), source)
        self.generator = generator

    def generate(self, mel, mel_lengths=None):
        return self.generator(mel)

    def parts(self, mel):
        return lambda first, last: self.generate(mel[None, first:last])[0]


def load_toy_vocoder(vocoder_dir, device="cpu"):
    (weights,) = find_weights(vocoder_dir)
    mel = load_config(find_shape(weights)).preprocess.mel
    generator = ToyGenerator(mel.n_mel, mel.hop_size)
    load_strict(generator, read_weights(weights), weights)
    return ToyVocoder(generator.to(device).eval(), mel, str(vocoder_dir))
