"""Training of HiFi-GAN."""

from dataclasses import asdict
from pathlib import Path

from torch import Tensor, nn

from models.vocoder.adversarial import AdversarialTrainer
from models.vocoder.hifigan.adversary import HiFiGANAdversary
from models.vocoder.hifigan.config import HiFiGANConfig, HiFiGANTrainConfig
from models.vocoder.hifigan.finetune import read_start
from models.vocoder.hifigan.generator import HiFiGANGenerator
from models.vocoder.trainer import VocoderBatch
from modules.weight_norm import add_weight_norm, load_fused
from utils.checkpoint import load_strict


class HiFiGANTrainer(AdversarialTrainer):
    """Trains the generator with adversarial, feature matching and mel losses (arXiv:2010.05646, sec. 2.4 and 3.3)."""

    train_config: HiFiGANTrainConfig

    def build(self) -> None:
        """Builds the data sets, the networks and their optimizers."""
        config = self.config
        assert isinstance(config.model, HiFiGANConfig) and isinstance(config.train, HiFiGANTrainConfig)
        self.build_data()
        n_mel, shape = config.preprocess.mel.n_mel, asdict(config.model.generator)
        generator, adversary = HiFiGANGenerator(n_mel, **shape), HiFiGANAdversary(config.model.discriminator)
        generator.initialize()
        add_weight_norm(generator)
        self.run_step.fuse([generator], dynamic=False)
        self.build_networks(generator, adversary, HiFiGANGenerator(n_mel, **shape), config.train.adam)

    def learning_rate(self, step: int) -> float:
        """Multiplies the initial learning rate by lr_decay every lr_decay_every steps."""
        train = self.train_config
        return train.adam.lr * train.lr_decay ** ((step - 1) // train.lr_decay_every)

    def generator_inputs(self, batch: VocoderBatch) -> tuple[Tensor, ...]:
        """Returns the mel [B, n_mel, F]."""
        return (self.input_mel_of(batch).transpose(1, 2),)

    def waveform(self, generated: Tensor) -> Tensor:
        """Returns the generator's output, which is the waveform."""
        return generated

    def generator_losses(self, batch: VocoderBatch, real: Tensor, generated: Tensor) -> dict[str, Tensor]:
        """Computes the adversarial, feature matching and mel losses (arXiv:2010.05646, sec. 2.4)."""
        train = self.train_config
        with self.accelerator.autocast():
            losses = self.accelerator.unwrap_model(self.adversary).generator_losses(real, generated)
        losses["mel"] = self.mel_distance(real[:, 0], generated[:, 0])
        total = losses["adversarial"] + train.feature_loss_weight * losses["feature"]
        return {**losses, "total": total + train.mel_loss_weight * losses["mel"]}

    def resynthesize(self, generator: nn.Module, mel: Tensor) -> Tensor:
        """Synthesizes mel [1, T, n_mel] -> audio [1, N], float32."""
        with self.accelerator.autocast():
            return generator(mel.float().transpose(1, 2))[:, 0].float()

    def start_from(self, folder: Path) -> None:
        """Loads a trained generator, and its discriminators if the folder has them.

        Raises:
            UserError: the folder has no HiFi-GAN, or one of another shape or mel.
        """
        assert isinstance(self.config.model, HiFiGANConfig)
        start = read_start(folder, self.config.model.generator, self.config.preprocess.mel)
        generator = self.accelerator.unwrap_model(self.model)
        load_fused(generator, start.generator)
        if self.average is not None:
            self.average.module.load_state_dict(start.generator)
        if start.adversary is not None:
            load_strict(self.accelerator.unwrap_model(self.adversary), start.adversary, folder)
