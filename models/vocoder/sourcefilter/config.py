"""Sections of exp_config.json for the source-filter vocoder."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

from config.schema import AdamConfig, ExpConfig, Problem, Section, TrainConfig, positive, probability


@dataclass(frozen=True)
class SourceFilterDiscriminatorConfig(Section):
    """Discriminators of periods (HiFi-GAN's) and of spectrograms (UnivNet's), small enough to train on a CPU."""

    periods: tuple[int, ...] = (2, 3, 5, 7, 11)  # samples, one discriminator each
    period_channels: tuple[int, ...] = (8, 32, 64, 128, 128)  # of the layers of each
    n_ffts: tuple[int, ...] = (2048, 1024, 512)  # samples, one discriminator each; frames overlap by three quarters
    spectrogram_channels: int = 8  # of the layers of each

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
    """The shape of the generator: the only settings that inference needs."""

    channels: int = 256  # of the network at the mel's frame rate
    hidden_channels: int = 768  # inside a block
    num_blocks: int = 6  # ConvNeXt blocks
    kernel_size: int = 7  # frames that a convolution covers
    pitch_channels: int = 128  # of the head that predicts pitch and voicing from the mel
    pitch_kernel_size: int = 5  # frames that each of its three convolutions covers

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
        """Only the settings of the generator."""
        names = [spec.name for spec in fields(SourceFilterGeneratorConfig)]
        return SourceFilterGeneratorConfig(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class SourceFilterAdamConfig(AdamConfig):
    """Settings of AdamW (arXiv:1711.05101): one optimizer for the generator, one for the discriminators."""

    lr: float = 5e-4  # the peak learning rate
    betas: tuple[float, ...] = (0.8, 0.99)
    eps: float = 1e-8
    weight_decay: float = 0.01


@dataclass(frozen=True)
class SourceFilterTrainConfig(TrainConfig):
    """Stage 2 of the source-filter vocoder."""

    grad_clip_thresh: float = 100.0
    max_epoch: int | None = None
    max_steps: int | None = 20_000  # the learning rate decays until this step
    adam: SourceFilterAdamConfig = field(default_factory=SourceFilterAdamConfig)
    warmup_steps: int = 200  # during which the learning rate rises to adam.lr
    final_lr_ratio: float = 0.02  # the last step's share of adam.lr; the decay is a cosine
    segment_size: int = 8192  # samples per crop of a clip, a multiple of the hop size
    adversary_start: int = 6000  # steps before the discriminators join; until then a step takes a quarter of the time
    predicted_pitch: float = 0.5  # share of segments after adversary_start whose source uses the predicted pitch
    mel_loss_weight: float = 45.0
    feature_loss_weight: float = 2.0
    pitch_loss_weight: float = 1.0
    ema_decay: float | None = 0.999  # of the averaged generator weights, which are validated; null: no average
    num_valid_clips: int = 16  # whole validation clips per validation

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
