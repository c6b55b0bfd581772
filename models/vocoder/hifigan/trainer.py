"""Training HiFi-GAN."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from models.training.window import Sums
from models.vocoder.hifigan.adversary import HiFiGANAdversary
from models.vocoder.hifigan.config import HiFiGANConfig, HiFiGANTrainConfig
from models.vocoder.hifigan.dataset import HiFiGANBatch
from models.vocoder.hifigan.finetune import read_start
from models.vocoder.hifigan.generator import HiFiGANGenerator
from models.vocoder.trainer import VocoderTrainer, trying_algorithms
from modules.weight_norm import add_weight_norm, load_fused
from utils.checkpoint import load_strict


class HiFiGANTrainer(VocoderTrainer):
    """Adversarial training of the generator (arXiv:2010.05646, sec. 2.4 and 3.3)."""

    train_config: HiFiGANTrainConfig

    def build(self) -> None:
        """Makes the data sets, the generator, the discriminators, and AdamW for each of the two."""
        config, accelerator = self.config, self.accelerator
        assert isinstance(config.model, HiFiGANConfig) and isinstance(config.train, HiFiGANTrainConfig)
        self.build_data()
        mel, shape, adam = config.preprocess.mel, asdict(config.model.generator), config.train.adam
        generator, adversary = HiFiGANGenerator(mel.n_mel, **shape), HiFiGANAdversary(config.model.discriminator)
        generator.initialize()
        add_weight_norm(generator)
        self.fuse([generator], dynamic=False)
        optimizers = [
            torch.optim.AdamW(model.parameters(), adam.lr, adam.betas, adam.eps, adam.weight_decay, fused=True)
            for model in (generator, adversary)
        ]
        self.model, self.adversary, *self.optimizers = accelerator.prepare(generator, adversary, *optimizers)
        self.build_average(generator, HiFiGANGenerator(mel.n_mel, **shape))

    def learning_rate(self, step: int) -> float:
        """Falls by a factor after every so many steps."""
        train = self.train_config
        return train.adam.lr * train.lr_decay ** ((step - 1) // train.lr_decay_every)

    def train_step(self, batches: Sequence[HiFiGANBatch], counts: dict[str, Tensor]) -> dict[str, Tensor]:
        """One step of the discriminators, then one of the generator against the changed discriminators."""
        with trying_algorithms():
            return self._train_step(batches, counts)

    def _train_step(self, batches: Sequence[HiFiGANBatch], counts: dict[str, Tensor]) -> dict[str, Tensor]:
        accelerator, figures, threshold = self.accelerator, Sums(), self.train_config.grad_clip_thresh
        generator_optimizer, adversary_optimizer = self.optimizers
        mels = [self._heard_mel(batch).transpose(1, 2) for batch in batches]
        reals = [self._segment(batch) for batch in batches]
        lasts = [number == len(batches) for number in range(1, len(batches) + 1)]
        fakes = []
        # The synthesized audio serves both steps; where there are several batches, their graphs would not fit.
        for mel, real, last in zip(mels, reals, lasts, strict=True):
            with torch.set_grad_enabled(len(batches) == 1):
                fakes.append(self.model(mel))
            self.adversary.train(len(fakes) == 1)
            with self.exchanging_gradients(self.adversary, last):
                loss = self.adversary(real, fakes[-1].detach()) * (len(real) / counts["segments"])
                accelerator.backward(loss)
            figures.add({"discriminator": loss})
        norm = accelerator.clip_grad_norm_(self.adversary.parameters(), threshold)
        adversary_optimizer.step()
        adversary_optimizer.zero_grad()

        for mel, real, fake, last in zip(mels, reals, fakes, lasts, strict=True):
            with self.exchanging_gradients(self.model, last):
                losses = self._generator_losses(real, fake if len(batches) == 1 else self.model(mel))
                losses = {name: loss * (len(real) / counts["segments"]) for name, loss in losses.items()}
                accelerator.backward(losses["total"])
            figures.add(losses)
        figures["discriminator_gradient_norm"] = norm
        figures["gradient_norm"] = accelerator.clip_grad_norm_(self.model.parameters(), threshold)
        generator_optimizer.step()
        generator_optimizer.zero_grad()
        return figures

    def _generator_losses(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The generator's losses by name, and their weighted sum "total"; real, fake [B, 1, N]."""
        with self.accelerator.autocast():
            losses = self.accelerator.unwrap_model(self.adversary).generator_losses(real, fake)
        losses["mel"] = self._mel_distance(real[:, 0], fake[:, 0])
        total = (
            losses["adversarial"]
            + self.train_config.feature_loss_weight * losses["feature"]
            + self.train_config.mel_loss_weight * losses["mel"]
        )
        return {**losses, "total": total}

    def resynthesize(self, generator: nn.Module, mel: Tensor) -> Tensor:
        """mel [1, T, n_mel] -> audio [1, N], float32."""
        with self.accelerator.autocast():
            return generator(mel.float().transpose(1, 2))[:, 0].float()

    def start_from(self, folder: Path) -> None:
        """Takes over a trained generator, and its discriminators where the folder has them.

        Raises:
            UserError: the folder holds no HiFi-GAN, or one of another shape or mel.
        """
        assert isinstance(self.config.model, HiFiGANConfig)
        start = read_start(folder, self.config.model.generator, self.config.preprocess.mel)
        generator = self.accelerator.unwrap_model(self.model)
        load_fused(generator, start.generator)
        if self.average is not None:
            self.average.module.load_state_dict(start.generator)
        if start.adversary is not None:
            load_strict(self.accelerator.unwrap_model(self.adversary), start.adversary, folder)
