"""Sections of exp_config.json for HiFi-GAN."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from math import prod
from typing import Literal

from config.schema import AdamConfig, ExpConfig, Problem, Section, TrainConfig, positive


@dataclass(frozen=True)
class DiscriminatorConfig(Section):
    """HiFi-GAN's discriminators of periods and of scales (arXiv:2010.05646, sec. 2.3)."""

    periods: tuple[int, ...] = (2, 3, 5, 7, 11)  # samples, one discriminator each
    period_channels: tuple[int, ...] = (32, 128, 512, 1024, 1024)  # of the layers of each
    num_scales: int = 3  # the waveform and its averages over 2, 4 ... samples
    scale_channels: tuple[int, ...] = (128, 128, 256, 512, 1024, 1024, 1024)  # of the layers of each

    def problems(self) -> Iterator[Problem]:
        yield from positive(self, "num_scales")
        if not self.periods or any(p < 2 for p in self.periods):
            yield "periods", f"must be numbers of at least 2, got {list(self.periods)}"
        if len(self.period_channels) != 5 or any(c < 1 for c in self.period_channels):
            yield "period_channels", f"must be 5 numbers, got {list(self.period_channels)}"
        if len(self.scale_channels) != 7 or any(c < 16 or c % 16 for c in self.scale_channels):
            yield "scale_channels", f"must be 7 multiples of 16 (the layers' groups), got {list(self.scale_channels)}"


@dataclass(frozen=True)
class GeneratorConfig(Section):
    """The shape of HiFi-GAN's generator (arXiv:2010.05646, appendix A): the only settings that inference needs."""

    resblock: Literal["1", "2"] = "1"
    upsample_rates: tuple[int, ...] = (8, 8, 2, 2)  # their product is the hop size
    upsample_kernel_sizes: tuple[int, ...] = (16, 16, 4, 4)
    upsample_initial_channel: int = 512
    resblock_kernel_sizes: tuple[int, ...] = (3, 7, 11)
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))

    def problems(self) -> Iterator[Problem]:
        rates, kernels = self.upsample_rates, self.upsample_kernel_sizes
        if not rates or len(rates) != len(kernels):
            yield "upsample_kernel_sizes", f"must have one number per upsample rate ({len(rates)}), got {len(kernels)}"
        elif any(u < 1 or k < u or (k - u) % 2 for u, k in zip(rates, kernels, strict=True)):
            yield "upsample_kernel_sizes", "each must be its rate plus an even number"
        if self.upsample_initial_channel % 2 ** len(rates) or self.upsample_initial_channel <= 0:
            yield "upsample_initial_channel", f"must be a multiple of 2^{len(rates)}: each upsampling halves it"
        if not self.resblock_kernel_sizes:
            yield "resblock_kernel_sizes", "must have at least one number"
        if len(self.resblock_kernel_sizes) != len(self.resblock_dilation_sizes):
            yield "resblock_dilation_sizes", "must have one list per kernel size of resblock_kernel_sizes"
        if any(k < 1 or k % 2 == 0 for k in self.resblock_kernel_sizes):
            yield "resblock_kernel_sizes", f"must be odd numbers, got {list(self.resblock_kernel_sizes)}"
        if any(dilation < 1 for dilations in self.resblock_dilation_sizes for dilation in dilations):
            yield "resblock_dilation_sizes", "each must be at least 1"


@dataclass(frozen=True)
class HiFiGANConfig(GeneratorConfig):
    """The model section for model_type "HiFiGAN"."""

    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)

    @property
    def generator(self) -> GeneratorConfig:
        """Only the settings of the generator."""
        return GeneratorConfig(**{spec.name: getattr(self, spec.name) for spec in fields(GeneratorConfig)})

    def problems_in(self, config: ExpConfig) -> Iterator[Problem]:
        hop_size, product = config.preprocess.hop_size, prod(self.upsample_rates)
        if product != hop_size:
            yield "upsample_rates", f"product is {product}, must equal preprocess.hop_size = {hop_size}"


@dataclass(frozen=True)
class AdamWConfig(AdamConfig):
    """Settings of HiFi-GAN's optimizers: Adam with decoupled weight decay (arXiv:1711.05101)."""

    lr: float = 2e-4
    betas: tuple[float, ...] = (0.8, 0.99)
    eps: float = 1e-8
    weight_decay: float = 0.01


@dataclass(frozen=True)
class HiFiGANTrainConfig(TrainConfig):
    """Stage 2 of HiFi-GAN (arXiv:2010.05646, sec. 3)."""

    grad_clip_thresh: float = 1000.0  # far above the usual norm: affects only outlier batches
    max_epoch: int | None = None
    max_steps: int | None = 1_000_000
    valid_every: int = 5000
    save_every: int = 5000
    adam: AdamWConfig = field(default_factory=AdamWConfig)
    lr_decay: float = 0.999  # the learning rate is multiplied by this ...
    lr_decay_every: int = 800  # ... every this many steps: the paper's epoch, 13,100 clips in batches of 16
    segment_size: int = 8192  # samples per crop of a clip, a multiple of the hop size
    mel_loss_weight: float = 45.0
    feature_loss_weight: float = 2.0
    ema_decay: float | None = 0.999  # of the averaged generator weights, validated and exported; null: no average
    num_valid_clips: int = 16  # whole validation clips per validation

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        yield from positive(self, "segment_size", "mel_loss_weight", "feature_loss_weight", "num_valid_clips")
        yield from positive(self, "lr_decay_every")
        for name in ("lr_decay", "ema_decay"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                yield name, f"must be greater than 0 and at most 1, got {value}"

    def problems_in(self, config: ExpConfig) -> Iterator[Problem]:
        audio = config.preprocess
        if self.segment_size % audio.hop_size:
            multiple = f"must be a multiple of preprocess.hop_size = {audio.hop_size}"
            yield "segment_size", f"{multiple}, got {self.segment_size}"
        if self.segment_size < audio.n_fft:
            yield "segment_size", f"must be at least preprocess.n_fft = {audio.n_fft}, got {self.segment_size}"
