"""A toy acoustic model: each phone is one spectrum and one duration, both learned."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from config.registry import Model
from config.schema import PreprocessConfig, Section, TrainConfig
from models.training.loading import make_loader, make_sampler
from models.training.trainer import Trainer
from models.training.window import BatchSize
from models.tts.fastspeech2.dataset import FastSpeech2Dataset
from models.tts.fastspeech2.tables import read_tables
from models.tts.load import own_weights
from modules.length_regulator import LengthRegulator
from utils.checkpoint import load_strict, read_weights


@dataclass(frozen=True)
class ToyVoiceConfig(Section):
    max_seq_len: int = 1000


MODEL = Model(
    role="acoustic",
    model=ToyVoiceConfig,
    preprocess=PreprocessConfig,
    train=TrainConfig,
    trainer="toy_voice.ToyVoiceTrainer",
    load="toy_voice.load_toy_voice",
)


class ToyOutput(NamedTuple):
    mel_postnet: Tensor
    mel_lengths: Tensor
    shortened: Tensor


class ToyVoice(nn.Module):
    num_speakers = 1

    def __init__(self, num_symbols: int, n_mel: int) -> None:
        super().__init__()
        self.spectra = nn.Embedding(num_symbols, n_mel)
        self.frames = nn.Embedding(num_symbols, 1)
        nn.init.constant_(self.frames.weight, 5.0)

    def forward(self, phone_ids, phone_lengths, *, duration_control=1.0, durations=None, **controls):
        if durations is None:
            there = torch.arange(phone_ids.shape[1], device=phone_ids.device) < phone_lengths[:, None]
            durations = (self.frames(phone_ids)[..., 0] * duration_control).round().long().clamp(min=1) * there
        mel, lengths = LengthRegulator()(self.spectra(phone_ids), durations)
        return ToyOutput(mel, lengths, torch.zeros_like(lengths, dtype=torch.bool))


class ToyVoiceTrainer(Trainer):
    tables = staticmethod(read_tables)

    def build(self):
        config = self.config
        self.train_set = FastSpeech2Dataset(config.data_dirs, "train")
        self.sampler = make_sampler(self.train_set.lengths, config.train, self.accelerator)
        self.train_loader = make_loader(self.train_set, self.sampler, config.train, self.accelerator.device)
        model = ToyVoice(len(self.train_set.symbols), config.preprocess.n_mel)
        self.model, optimizer = self.accelerator.prepare(model, torch.optim.Adam(model.parameters(), 0.05))
        self.optimizers = [optimizer]

    def learning_rate(self, step):
        return 0.05

    def measure(self, batch):
        return BatchSize(int(batch.mel_lengths.sum()), batch.mel.shape[0] * batch.mel.shape[1])

    def utterance_ids(self, index):
        return [self.train_set.rows[i]["utt_id"] for i in index.tolist()]

    def counts(self, batch):
        return {"frames": int(batch.mel_lengths.sum())}

    def losses(self, batch, counts):
        mel = self.model(batch.phone_ids, batch.phone_lengths, durations=batch.durations).mel_postnet
        frames = self.model.frames(batch.phone_ids)[..., 0]
        duration = F.l1_loss(frames, batch.durations.float())
        mel = (mel - batch.mel).abs().sum() / counts["frames"] / mel.shape[2]
        return {"mel": mel, "duration": duration, "total": mel + duration}

    def validate(self):
        return {"selection": 0.0}


def load_toy_voice(experiment):
    model = ToyVoice(len(experiment.symbols), experiment.preprocess.n_mel)
    load_strict(model, read_weights(own_weights(experiment)), experiment.root)
    return model, experiment.preprocess.mel
