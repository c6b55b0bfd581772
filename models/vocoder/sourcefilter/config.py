"""The sections of exp_config.json that the source-filter vocoder reads."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

from config.schema import AdamConfig, ExpConfig, Problem, Section, TrainConfig, positive, probability


@dataclass(frozen=True)
class SourceFilterDiscriminatorConfig(Section):
    """Discriminators so small that a CPU trains them: of periods (HiFi-GAN's) and of spectrograms (UnivNet's)."""

    periods: tuple[int, ...] = (2, 3, 5, 7, 11)  # samples, one discriminator each
    period_channels: tuple[int, ...] = (8, 32, 64, 128, 128)  # of each one's layers
    n_ffts: tuple[int, ...] = (2048, 1024, 512)  # samples, one discriminator each; frames overlap by three quarters
    spectrogram_channels: int = 8  # of each one's layers

    def problems(self) -> Iterator[Problem]:
        yield from positive(self, "spectrogram_channels")
        if not self.periods or any(p < 2 for p in self.periods):
            yield "periods", f"must be numbers of at least 2, got {list(self.periods)}"
        if len(self.period_channels) != 5 or any(c < 1 for c in self.period_channels):
            yield "period_channels", f"must be 5 numbers, got {list(self.period_channels)}"
        if any(n < 16 or n % 4 for n in self.n_ffts):
            yield "n_ffts", f"must be multiples of 4 and at least 16, got {list(self.n_ffts)}"


@dataclass(frozen=True)
class SourceFilterGeneratorConfig(Section):
    """The shape of the generator: all that inference needs to know."""

    channels: int = 256  # of the network at the mel's frame rate
    hidden_channels: int = 768  # inside a block
    num_blocks: int = 6  # ConvNeXt blocks
    kernel_size: int = 7  # frames that a convolution sees
    pitch_channels: int = 128  # of the head that reads pitch and voicing from the mel
    pitch_kernel_size: int = 5  # frames that one of its three convolutions sees

    def problems(self) -> Iterator[Problem]:
        yield from positive(self, "channels", "hidden_channels", "num_blocks", "pitch_channels")
        for name in ("kernel_size", "pitch_kernel_size"):
            if getattr(self, name) < 1 or getattr(self, name) % 2 == 0:
                yield name, f"must be an odd number, got {getattr(self, name)}"


@dataclass(frozen=True)
class SourceFilterConfig(SourceFilterGeneratorConfig):
    """The model section for model_type "SourceFilter"."""

    discriminator: SourceFilterDiscriminatorConfig = field(default_factory=SourceFilterDiscriminatorConfig)

    @property
    def generator(self) -> SourceFilterGeneratorConfig:
        """The generator's part alone."""
        names = [spec.name for spec in fields(SourceFilterGeneratorConfig)]
        return SourceFilterGeneratorConfig(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class SourceFilterAdamConfig(AdamConfig):
    """AdamW (arXiv:1711.05101), one for the generator and one for the discriminators."""

    lr: float = 5e-4  # the highest learning rate
    betas: tuple[float, ...] = (0.8, 0.99)
    eps: float = 1e-8
    weight_decay: float = 0.01


@dataclass(frozen=True)
class SourceFilterTrainConfig(TrainConfig):
    """Stage 2 of the source-filter vocoder."""

    grad_clip_thresh: float = 100.0
    max_epoch: int | None = None
    max_steps: int | None = 20_000  # the learning rate falls until there
    adam: SourceFilterAdamConfig = field(default_factory=SourceFilterAdamConfig)
    warmup_steps: int = 200  # in which the learning rate rises to adam.lr
    final_lr_ratio: float = 0.02  # share of adam.lr that is left at the last step, along a cosine
    segment_size: int = 8192  # samples of a clip that a step sees, a multiple of the hop size
    adversary_start: int = 6000  # steps without discriminators, a quarter as long; then they join
    predicted_pitch: float = 0.5  # share of the segments after adversary_start whose source has the head's pitch
    mel_loss_weight: float = 45.0
    feature_loss_weight: float = 2.0
    pitch_loss_weight: float = 1.0
    ema_decay: float | None = 0.999  # of the average of the generator's weights that is validated; null: none
    num_valid_clips: int = 16  # whole validation clips that are measured

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        yield from positive(self, "segment_size", "mel_loss_weight", "feature_loss_weight", "num_valid_clips")
        yield from positive(self, "final_lr_ratio", "pitch_loss_weight")
        yield from probability(self, "predicted_pitch")
        for name in ("warmup_steps", "adversary_start"):
            if getattr(self, name) < 0:
                yield name, f"must not be negative, got {getattr(self, name)}"
        if self.ema_decay is not None and not 0 < self.ema_decay <= 1:
            yield "ema_decay", f"must be greater than 0 and at most 1, got {self.ema_decay}"

    def problems_in(self, config: ExpConfig) -> Iterator[Problem]:
        audio = config.preprocess
        if self.segment_size % audio.hop_size:
            multiple = f"must be a multiple of preprocess.hop_size = {audio.hop_size}"
            yield "segment_size", f"{multiple}, got {self.segment_size}"
        model = config.model
        longest = max([audio.n_fft, *getattr(getattr(model, "discriminator", None), "n_ffts", ())])
        if self.segment_size < longest:
            yield "segment_size", f"must be at least the longest Fourier transform, {longest}, got {self.segment_size}"
