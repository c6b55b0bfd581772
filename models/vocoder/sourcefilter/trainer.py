"""Training of the source-filter vocoder: reconstruction only at first, then small discriminators as well."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.vocoder.adversarial import AdversarialTrainer
from models.vocoder.sourcefilter.config import SourceFilterConfig, SourceFilterTrainConfig
from models.vocoder.sourcefilter.dataset import SourceFilterBatch, SourceFilterDataset
from models.vocoder.sourcefilter.discriminators import SourceFilterAdversary
from models.vocoder.sourcefilter.generator import Generated, PitchReading, SourceFilterGenerator
from models.vocoder.sourcefilter.load import read_start
from modules.mel import MelSpectrogram
from utils.checkpoint import load_strict
from utils.logging import logger

RESOLUTIONS = ((2048, 160), (1024, 80), (512, 40))  # n_fft and mel bands of the reconstruction loss
_LOG_PITCH_WEIGHT = 10.0  # in the pitch loss, relative to the cross entropy of voicing


class SourceFilterTrainer(AdversarialTrainer):
    """Trains with reconstruction and pitch losses and, from `train.adversary_start`, HiFi-GAN's adversarial losses."""

    dataset_class = SourceFilterDataset
    train_config: SourceFilterTrainConfig

    def build(self) -> None:
        """Builds the data sets, the networks and their optimizers."""
        config = self.config
        assert isinstance(config.model, SourceFilterConfig) and isinstance(config.train, SourceFilterTrainConfig)
        self.build_data()
        mel, shape = config.preprocess.mel, asdict(config.model.generator)
        generator = SourceFilterGenerator(mel, **shape)
        adversary = SourceFilterAdversary(**asdict(config.model.discriminator))
        self.run_step.fuse(generator.blocks, dynamic=False)
        self.build_networks(generator, adversary, SourceFilterGenerator(mel, **shape), config.train.adam)
        self.loss_mels = [
            MelSpectrogram(mel.sample_rate, n_fft, n_fft, n_fft // 4, bands, 0.0, mel.sample_rate / 2).to(
                self.accelerator.device
            )
            for n_fft, bands in RESOLUTIONS
        ]

    def learning_rate(self, step: int) -> float:
        """Rises for `warmup_steps`, then decays along a cosine to `final_lr_ratio` at the last step."""
        train = self.train_config
        rise = min(1.0, step / max(1, train.warmup_steps))
        fall = (1 + math.cos(math.pi * min(1.0, step / self.last_step))) / 2
        return train.adam.lr * rise * (train.final_lr_ratio + (1 - train.final_lr_ratio) * fall)

    @property
    def has_adversary(self) -> bool:
        """Whether the current or next step trains against discriminators."""
        return self.step >= self.train_config.adversary_start

    def step_kind(self) -> bool:
        """Whether the step has discriminators: such steps use other kernels."""
        return self.has_adversary

    def generator_inputs(self, batch: SourceFilterBatch) -> tuple[Tensor, ...]:
        """Returns the mel [B, F, n_mel] and the pitch of the source [B, F]."""
        return self.input_mel_of(batch), self._source_pitch(batch)

    def waveform(self, generated: Generated) -> Tensor:
        """Returns the waveform [B, 1, N] from the generator's output."""
        return generated.wav.unsqueeze(1)

    def generator_losses(self, batch: SourceFilterBatch, real: Tensor, generated: Generated) -> dict[str, Tensor]:
        """Computes the reconstruction and pitch losses and, with discriminators, the adversarial ones."""
        train = self.train_config
        losses = {
            "mel": self._reconstruction(real[:, 0], generated.wav),
            "pitch": pitch_loss(generated.reading, batch.pitch),
        }
        total = train.mel_loss_weight * losses["mel"] + train.pitch_loss_weight * losses["pitch"]
        if self.has_adversary:
            with self.accelerator.autocast():
                adversary = self.accelerator.unwrap_model(self.adversary)
                losses |= adversary.generator_losses(real, self.waveform(generated))
            total = total + losses["adversarial"] + train.feature_loss_weight * losses["feature"]
        return {**losses, "total": total}

    def _source_pitch(self, batch: SourceFilterBatch) -> Tensor:
        """Returns the pitch of the source, [B, F]: the clip's, or later for some segments -1, the predicted one."""
        if not self.has_adversary or not self.train_config.predicted_pitch:
            return batch.pitch
        chance = torch.rand(len(batch.pitch), 1, device=batch.pitch.device)
        return torch.where(chance < self.train_config.predicted_pitch, -1.0, batch.pitch)

    def _reconstruction(self, real: Tensor, fake: Tensor) -> Tensor:
        """Computes the L1 distance of log-mels of audio [B, N], averaged over the resolutions."""
        distances = [F.l1_loss(spectrogram(fake), spectrogram(real)) for spectrogram in self.loss_mels]
        return torch.stack(distances).mean()

    def resynthesize(self, generator: nn.Module, mel: Tensor) -> Tensor:
        """Synthesizes mel [1, T, n_mel] at the predicted pitch -> audio [1, N], float32."""
        with self.accelerator.autocast():
            return generator(mel.float()).wav.float()

    def start_from(self, folder: Path) -> None:
        """Loads a trained generator, and its discriminators if the folder has some of the same sizes.

        Raises:
            UserError: the folder has no source-filter vocoder, or one of another shape or mel.
        """
        assert isinstance(self.config.model, SourceFilterConfig)
        start = read_start(folder, self.config.model.generator, self.config.preprocess.mel)
        load_strict(self.accelerator.unwrap_model(self.model), start.generator, folder)
        if self.average is not None:
            self.average.module.load_state_dict(start.generator)
        if start.adversary is None:
            return
        adversary = self.accelerator.unwrap_model(self.adversary)
        if _shapes(start.adversary) == _shapes(adversary.state_dict()):
            load_strict(adversary, start.adversary, folder)
        else:
            logger.warning("%s has discriminators of other sizes: new ones are trained.", folder)


def _shapes(state: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in state.items()}


def pitch_loss(reading: PitchReading, pitch: Tensor) -> Tensor:
    """Computes the error of the pitch head against the clip's pitch.

    Args:
        reading: prediction for B segments of F frames.
        pitch: [B, F] Hz, 0 = unvoiced.

    Returns:
        Scalar, float32: the distance of log pitch over voiced frames, and the cross entropy of voicing.
    """
    voiced = (pitch > 0).float()
    distance = ((reading.log_pitch.float() - pitch.clamp(min=1).log()).abs() * voiced).mean()
    return _LOG_PITCH_WEIGHT * distance + F.binary_cross_entropy_with_logits(reading.voicing.float(), voiced)
