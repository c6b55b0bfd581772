"""Training the source-filter vocoder: at first by reconstruction alone, then against small discriminators as well."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.training.window import Sums
from models.vocoder.sourcefilter.config import SourceFilterConfig, SourceFilterTrainConfig
from models.vocoder.sourcefilter.dataset import SourceFilterBatch, SourceFilterDataset
from models.vocoder.sourcefilter.discriminators import SourceFilterAdversary
from models.vocoder.sourcefilter.generator import Generated, PitchReading, SourceFilterGenerator
from models.vocoder.sourcefilter.load import read_start
from models.vocoder.trainer import VocoderTrainer, trying_algorithms
from modules.mel import MelSpectrogram
from utils.checkpoint import load_strict
from utils.logging import logger

RESOLUTIONS = ((2048, 160), (1024, 80), (512, 40))  # of the reconstruction loss: n_fft and mel bands
_LOG_PITCH_WEIGHT = 10.0  # in the pitch loss, beside the voicing's cross entropy


class SourceFilterTrainer(VocoderTrainer):
    """Reconstruction, pitch, and from `train.adversary_start` on the adversarial losses of HiFi-GAN."""

    dataset_class = SourceFilterDataset
    train_config: SourceFilterTrainConfig

    def build(self) -> None:
        """Makes the data sets, the generator, the discriminators, and AdamW for each of the two."""
        config, accelerator = self.config, self.accelerator
        assert isinstance(config.model, SourceFilterConfig) and isinstance(config.train, SourceFilterTrainConfig)
        self.build_data()
        mel, shape, adam = config.preprocess.mel, asdict(config.model.generator), config.train.adam
        generator = SourceFilterGenerator(mel, **shape)
        adversary = SourceFilterAdversary(**asdict(config.model.discriminator))
        self.fuse(generator.blocks, dynamic=False)
        optimizers = [
            torch.optim.AdamW(
                model.parameters(), adam.lr, (adam.betas[0], adam.betas[1]), adam.eps, adam.weight_decay, fused=True
            )
            for model in (generator, adversary)
        ]
        self.model, self.adversary, *self.optimizers = accelerator.prepare(generator, adversary, *optimizers)
        self.build_average(generator, SourceFilterGenerator(mel, **shape))
        self.loss_mels = [
            MelSpectrogram(mel.sample_rate, n_fft, n_fft, n_fft // 4, bands, 0.0, mel.sample_rate / 2).to(
                accelerator.device
            )
            for n_fft, bands in RESOLUTIONS
        ]

    def learning_rate(self, step: int) -> float:
        """Rises for `warmup_steps`, and falls along a cosine to `final_lr_ratio` at the last step."""
        train = self.train_config
        rise = min(1.0, step / max(1, train.warmup_steps))
        fall = (1 + math.cos(math.pi * min(1.0, step / self.last_step))) / 2
        return train.adam.lr * rise * (train.final_lr_ratio + (1 - train.final_lr_ratio) * fall)

    @property
    def has_adversary(self) -> bool:
        """Whether the step that is being done, or comes next, has discriminators."""
        return self.step >= self.train_config.adversary_start

    def step_kind(self) -> bool:
        """Steps with discriminators have other kernels."""
        return self.has_adversary

    def train_step(self, batches: Sequence[SourceFilterBatch], counts: dict[str, Tensor]) -> dict[str, Tensor]:
        """One step of the discriminators, where there are any yet, then one of the generator."""
        with trying_algorithms():
            figures, graphs = Sums(), []
            heard = [(self._heard_mel(batch), self._source_pitch(batch)) for batch in batches]
            reals = [self._segment(batch) for batch in batches]
            if self.has_adversary:
                graphs = self._train_adversary(heard, reals, counts, figures)
            self._train_generator(batches, heard, reals, graphs, counts, figures)
            return figures

    def _train_adversary(
        self, heard: list[tuple[Tensor, Tensor]], reals: list[Tensor], counts: dict[str, Tensor], figures: Sums
    ) -> list[Generated]:
        """One step of the discriminators; returns what was generated, with its graph where that is a single batch."""
        accelerator, generated = self.accelerator, []
        for number, (inputs, real) in enumerate(zip(heard, reals, strict=True), 1):
            # Where there are several batches, their graphs would not fit.
            with torch.set_grad_enabled(len(heard) == 1):
                generated.append(self.model(*inputs))
            with self.exchanging_gradients(self.adversary, number == len(heard)):
                loss = self.adversary(real, generated[-1].wav.detach().unsqueeze(1))
                loss = loss * (len(real) / counts["segments"])
                accelerator.backward(loss)
            figures.add({"discriminator": loss})
        threshold = self.train_config.grad_clip_thresh
        norm = accelerator.clip_grad_norm_(self.adversary.parameters(), threshold)
        figures["discriminator_gradient_norm"] = norm
        self.optimizers[1].step()
        self.optimizers[1].zero_grad()
        return generated if len(heard) == 1 else []

    def _train_generator(
        self,
        batches: Sequence[SourceFilterBatch],
        heard: list[tuple[Tensor, Tensor]],
        reals: list[Tensor],
        graphs: list[Generated],
        counts: dict[str, Tensor],
        figures: Sums,
    ) -> None:
        """One step of the generator; `graphs` are its passes where they are done already."""
        accelerator = self.accelerator
        for number, (batch, inputs, real) in enumerate(zip(batches, heard, reals, strict=True), 1):
            with self.exchanging_gradients(self.model, number == len(batches)):
                losses = self._generator_losses(real, graphs[0] if graphs else self.model(*inputs), batch.pitch)
                losses = {name: loss * (len(real) / counts["segments"]) for name, loss in losses.items()}
                accelerator.backward(losses["total"])
            figures.add(losses)
        threshold = self.train_config.grad_clip_thresh
        figures["gradient_norm"] = accelerator.clip_grad_norm_(self.model.parameters(), threshold)
        self.optimizers[0].step()
        self.optimizers[0].zero_grad()

    def _source_pitch(self, batch: SourceFilterBatch) -> Tensor:
        """The pitch of the source, [B, F]: the recording's; for some segments, later on, what the head reads (-1)."""
        if not self.has_adversary or not self.train_config.predicted_pitch:
            return batch.pitch
        chance = torch.rand(len(batch.pitch), 1, device=batch.pitch.device)
        return torch.where(chance < self.train_config.predicted_pitch, -1.0, batch.pitch)

    def _generator_losses(self, real: Tensor, generated: Generated, pitch: Tensor) -> dict[str, Tensor]:
        """The generator's losses by name, and their weighted sum "total"; real [B, 1, N], pitch [B, F]."""
        train = self.train_config
        losses = {"mel": self._reconstruction(real[:, 0], generated.wav), "pitch": pitch_loss(generated.reading, pitch)}
        total = train.mel_loss_weight * losses["mel"] + train.pitch_loss_weight * losses["pitch"]
        if self.has_adversary:
            with self.accelerator.autocast():
                adversary = self.accelerator.unwrap_model(self.adversary)
                losses |= adversary.generator_losses(real, generated.wav.unsqueeze(1))
            total = total + losses["adversarial"] + train.feature_loss_weight * losses["feature"]
        return {**losses, "total": total}

    def _reconstruction(self, real: Tensor, fake: Tensor) -> Tensor:
        """L1 of log-mels, mean over the resolutions; audio [B, N]."""
        distances = [F.l1_loss(spectrogram(fake), spectrogram(real)) for spectrogram in self.loss_mels]
        return torch.stack(distances).mean()

    def resynthesize(self, generator: nn.Module, mel: Tensor) -> Tensor:
        """mel [1, T, n_mel] -> audio [1, N], float32, at the pitch that the head reads."""
        with self.accelerator.autocast():
            return generator(mel.float()).wav.float()

    def start_from(self, folder: Path) -> None:
        """Takes over a trained generator, and its discriminators where the folder has some of the same sizes.

        Raises:
            UserError: the folder holds no source-filter vocoder, or one of another shape or mel.
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
    """How far what the head reads is from the recording's pitch.

    Args:
        reading: of B segments of F frames.
        pitch: [B, F] Hz, 0 = unvoiced.

    Returns:
        Scalar, float32: the distance of log pitch over voiced frames, and the cross entropy of voicing.
    """
    voiced = (pitch > 0).float()
    distance = ((reading.log_pitch.float() - pitch.clamp(min=1).log()).abs() * voiced).mean()
    return _LOG_PITCH_WEIGHT * distance + F.binary_cross_entropy_with_logits(reading.voicing.float(), voiced)
