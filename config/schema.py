"""Every key of exp_config.json: its type, default, unit and meaning.

The names are Amphion's wherever it has the key, so that its users find what they know. Each section is a frozen
dataclass; `problems` yields what is wrong with its values beyond their types, and `config.load` reports all of them
at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Literal, NamedTuple

Problem = tuple[str, str]  # the key inside its section, what is wrong with its value

# Keys of the preprocess section that are true of one machine only: no feature depends on where things lie.
PATH_KEYS = ("processed_dir", "textgrid_dir", "lexicon_path")


def _positive(section: object, *names: str) -> Iterator[Problem]:
    for name in names:
        value = getattr(section, name)
        if value is not None and value <= 0:
            yield name, f"must be greater than 0, got {value}"


def _probability(section: object, *names: str) -> Iterator[Problem]:
    for name in names:
        if not 0 <= getattr(section, name) < 1:
            yield name, f"must be at least 0 and less than 1, got {getattr(section, name)}"


@dataclass(frozen=True)
class MelSettings:
    """What a mel spectrogram depends on: an acoustic model and its vocoder must agree on all of it."""

    sample_rate: int
    n_fft: int
    win_size: int
    hop_size: int
    n_mel: int
    fmin: float
    fmax: float


@dataclass(frozen=True)
class AudioConfig:
    """Stage 1: what every model's features depend on."""

    processed_dir: str = "data"  # features go to <processed_dir>/<dataset>
    sample_rate: int = 22050  # Hz; audio of another rate is resampled
    n_fft: int = 1024  # samples in a Fourier transform
    win_size: int = 1024  # samples, Hann window
    hop_size: int = 256  # samples between mel frames
    n_mel: int = 80  # mel bands
    fmin: float = 0.0  # Hz, lower edge of the mel bands
    fmax: float = 8000.0  # Hz, upper edge of the mel bands
    f0_min: float = 71.0  # Hz, lowest pitch looked for
    f0_max: float = 800.0  # Hz, highest pitch looked for
    max_seconds: float = 20.0  # a longer clip is skipped
    valid_fraction: float = 0.02  # share of the utterances kept for validation
    test_fraction: float = 0.02  # share of the utterances kept for testing
    split_seed: int = 1234  # another seed gives other validation and test sets

    @property
    def mel(self) -> MelSettings:
        """The mel's settings alone."""
        return MelSettings(self.sample_rate, self.n_fft, self.win_size, self.hop_size, self.n_mel, self.fmin, self.fmax)

    def problems(self) -> Iterator[Problem]:
        yield from _positive(self, "sample_rate", "n_fft", "win_size", "hop_size", "n_mel")
        yield from _positive(self, "f0_min", "f0_max", "max_seconds")
        yield from _probability(self, "valid_fraction", "test_fraction")
        if self.valid_fraction + self.test_fraction >= 1:
            yield "valid_fraction", "with test_fraction it must leave utterances to train on (their sum is 1 or more)"
        if self.win_size > self.n_fft:
            yield "win_size", f"must not exceed n_fft = {self.n_fft}, got {self.win_size}"
        if self.hop_size > self.win_size:
            yield "hop_size", f"must not exceed win_size = {self.win_size}, got {self.hop_size}"
        elif (self.n_fft - self.hop_size) % 2:
            yield "hop_size", f"n_fft - hop_size must be even, got {self.n_fft} - {self.hop_size}"
        if self.fmin < 0 or self.fmin >= self.fmax:
            yield "fmin", f"must be at least 0 and below fmax = {self.fmax}, got {self.fmin}"
        if self.fmax > self.sample_rate / 2:
            yield "fmax", f"must not exceed half of sample_rate = {self.sample_rate}, got {self.fmax}"
        if self.f0_min >= self.f0_max:
            yield "f0_min", f"must be below f0_max = {self.f0_max}, got {self.f0_min}"
        if self.f0_max > self.sample_rate / 2:
            yield "f0_max", f"must not exceed half of sample_rate = {self.sample_rate}, got {self.f0_max}"


@dataclass(frozen=True)
class PreprocessConfig(AudioConfig):
    """Stage 1 of an acoustic model: from a corpus with texts to features."""

    textgrid_dir: str | None = None  # alignments; null: the folder TextGrid inside the corpus
    alignment: Literal["auto", "textgrid", "learned"] = "auto"  # auto: TextGrids where there are, else learned
    max_misfit: float | None = 10.0  # standard deviations that a learned alignment may fit worse; null: any
    lexicon_path: str | None = None  # the user's own pronunciations, lines of "WORD PH PH ..."
    pitch_extractor: Literal["dio", "harvest", "swift-f0"] = "dio"

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        yield from _positive(self, "max_misfit")


@dataclass(frozen=True)
class VocoderPreprocessConfig(AudioConfig):
    """Stage 1 of a vocoder: from recordings, which need no texts, to audio of one rate."""

    trim_db: float | None = 60.0  # dB below the loudest moment that count as silence at a clip's ends; null: keep all

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        yield from _positive(self, "trim_db")


@dataclass(frozen=True)
class TransformerConfig:
    """FFT blocks of the encoder (phones) and the decoder (frames)."""

    encoder_layer: int = 4
    encoder_head: int = 2
    encoder_hidden: int = 256
    encoder_dropout: float = 0.2
    decoder_layer: int = 6
    decoder_head: int = 2
    decoder_hidden: int = 256  # equals encoder_hidden: nothing stands between the two
    decoder_dropout: float = 0.2
    conv_filter_size: int = 1024  # channels inside a block's convolutions
    conv_kernel_size: tuple[int, ...] = (9, 1)  # of a block's two convolutions, odd

    def problems(self) -> Iterator[Problem]:
        yield from _positive(
            self, "encoder_layer", "encoder_head", "encoder_hidden", "decoder_layer", "decoder_head", "conv_filter_size"
        )
        yield from _probability(self, "encoder_dropout", "decoder_dropout")
        if len(self.conv_kernel_size) != 2 or any(k < 1 or k % 2 == 0 for k in self.conv_kernel_size):
            yield "conv_kernel_size", f"must be two odd numbers, got {list(self.conv_kernel_size)}"
        for part in ("encoder", "decoder"):
            hidden, heads = getattr(self, f"{part}_hidden"), getattr(self, f"{part}_head")
            if hidden > 0 and heads > 0 and (hidden % heads or hidden % 2):
                yield f"{part}_hidden", f"must be even and a multiple of {part}_head = {heads}, got {hidden}"
        if self.decoder_hidden != self.encoder_hidden:
            yield "decoder_hidden", f"must equal encoder_hidden = {self.encoder_hidden}, got {self.decoder_hidden}"


@dataclass(frozen=True)
class VariancePredictorConfig:
    """The duration, pitch and energy predictors: two convolutions and a linear layer each."""

    filter_size: int = 256  # channels
    kernel_size: int = 3  # odd
    dropout: float = 0.5

    def problems(self) -> Iterator[Problem]:
        yield from _positive(self, "filter_size")
        yield from _probability(self, "dropout")
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            yield "kernel_size", f"must be odd, got {self.kernel_size}"


@dataclass(frozen=True)
class VarianceEmbeddingConfig:
    """Pitch and energy enter the decoder as embeddings of quantized values."""

    n_bins: int = 256
    pitch_quantization: Literal["linear", "log"] = "linear"
    energy_quantization: Literal["linear", "log"] = "linear"

    def problems(self) -> Iterator[Problem]:
        if self.n_bins < 2:
            yield "n_bins", f"must be at least 2, got {self.n_bins}"


@dataclass(frozen=True)
class PostNetConfig:
    """The convolutions that refine the mel (Tacotron 2, arXiv:1712.05884, sec. 2.2)."""

    hidden: int = 512  # channels
    layers: int = 5
    kernel_size: int = 5  # odd
    dropout: float = 0.5

    def problems(self) -> Iterator[Problem]:
        yield from _positive(self, "hidden")
        yield from _probability(self, "dropout")
        if self.layers < 2:
            yield "layers", f"must be at least 2, got {self.layers}"
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            yield "kernel_size", f"must be odd, got {self.kernel_size}"


@dataclass(frozen=True)
class FastSpeech2Config:
    """The model section for model_type "FastSpeech2"."""

    max_seq_len: int = 4000  # frames (46 s at the default hop): no longer mel is trained on or made in one piece
    mask_padding: bool = True  # false: padding leaks into a batch's shorter rows, as in Amphion's published models
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    variance_predictor: VariancePredictorConfig = field(default_factory=VariancePredictorConfig)
    variance_embedding: VarianceEmbeddingConfig = field(default_factory=VarianceEmbeddingConfig)
    postnet: PostNetConfig = field(default_factory=PostNetConfig)

    def problems(self) -> Iterator[Problem]:
        yield from _positive(self, "max_seq_len")


@dataclass(frozen=True)
class DiscriminatorConfig:
    """HiFi-GAN's discriminators (arXiv:2010.05646, sec. 2.3): of periods, and of scales."""

    periods: tuple[int, ...] = (2, 3, 5, 7, 11)  # samples, one discriminator each
    period_channels: tuple[int, ...] = (32, 128, 512, 1024, 1024)  # of each one's layers
    num_scales: int = 3  # the waveform, and its averages over 2, 4 ... samples
    scale_channels: tuple[int, ...] = (128, 128, 256, 512, 1024, 1024, 1024)  # of each one's layers

    def problems(self) -> Iterator[Problem]:
        yield from _positive(self, "num_scales")
        if not self.periods or any(p < 2 for p in self.periods):
            yield "periods", f"must be numbers of at least 2, got {list(self.periods)}"
        if len(self.period_channels) != 5 or any(c < 1 for c in self.period_channels):
            yield "period_channels", f"must be 5 numbers, got {list(self.period_channels)}"
        if len(self.scale_channels) != 7 or any(c < 16 or c % 16 for c in self.scale_channels):
            yield "scale_channels", f"must be 7 multiples of 16 (the layers' groups), got {list(self.scale_channels)}"


@dataclass(frozen=True)
class GeneratorConfig:
    """The shape of HiFi-GAN's generator (arXiv:2010.05646, appendix A): all that inference needs to know."""

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
        """The generator's part alone."""
        return GeneratorConfig(**{spec.name: getattr(self, spec.name) for spec in fields(GeneratorConfig)})


@dataclass(frozen=True)
class AlignerConfig:
    """The model section for model_type "Aligner": how stage 1 learns where each phone is spoken."""

    channels: int = 80  # of the space in which phones and frames are compared
    temperature: float = 0.01  # factor of the squared distance
    blank: float = -1.0  # score of "no phone" beside all phones of a frame, in training

    def problems(self) -> Iterator[Problem]:
        yield from _positive(self, "channels", "temperature")


@dataclass(frozen=True)
class AdamConfig:
    """The Adam optimizer."""

    lr: float = 0.0625  # the factor of the learning-rate schedule; 0.0625 = 256 ** -0.5
    betas: tuple[float, ...] = (0.9, 0.98)
    eps: float = 1e-9
    weight_decay: float = 0.0

    def problems(self) -> Iterator[Problem]:
        yield from _positive(self, "lr", "eps")
        if self.weight_decay < 0:
            yield "weight_decay", f"must not be negative, got {self.weight_decay}"
        if len(self.betas) != 2 or any(not 0 <= b < 1 for b in self.betas):
            yield "betas", f"must be two numbers of at least 0 and less than 1, got {list(self.betas)}"


@dataclass(frozen=True)
class AdamWConfig(AdamConfig):
    """HiFi-GAN's optimizers: Adam with decoupled weight decay (arXiv:1711.05101)."""

    lr: float = 2e-4
    betas: tuple[float, ...] = (0.8, 0.99)
    eps: float = 1e-8
    weight_decay: float = 0.01


@dataclass(frozen=True)
class LRSchedulerConfig:
    """The Noam schedule (arXiv:1706.03762, sec. 5.3): lr * min(step ** -0.5, step * num_warmup ** -1.5)."""

    num_warmup: int = 4000  # steps

    def problems(self) -> Iterator[Problem]:
        yield from _positive(self, "num_warmup")


@dataclass(frozen=True)
class TrainConfig:
    """Stage 2, for every model. A step is an optimizer step."""

    random_seed: int = 10086  # of the weights, the order of the batches and the dropout
    batch_size: int = 16  # utterances a step and process, before accumulation
    gradient_accumulation_step: int = 1  # batches summed into one optimizer step
    grad_clip_thresh: float = 1.0  # largest norm of the gradient
    mixed_precision: Literal["auto", "no", "bf16"] = "auto"  # auto: bf16 on a GPU that has it, else no
    max_epoch: int | None = 1000  # training stops here or at max_steps, whichever comes first
    max_steps: int | None = 200_000
    # Features read once, into the memory of the device; auto: on a GPU where they need less than half of what is free.
    data_on_device: Literal["auto", True, False] = "auto"
    # "kernels": torch.compile fuses parts of the model; "graphs": on one GPU, a step is launched whole (CUDA graphs);
    # true: both, as far as this machine can. The first steps take longer.
    compile: Literal[True, False, "kernels", "graphs"] = False
    num_workers: int | None = None  # processes that load batches; null: 0 on a CPU, up to 4 on a GPU
    log_every: int = 50  # steps between lines of the log
    valid_every: int = 1000  # steps between validations
    save_every: int = 1000  # steps between checkpoints
    keep_last: int = 3  # checkpoints kept; the best weights are kept besides
    num_valid_samples: int = 4  # validation utterances drawn and played in TensorBoard
    adam: AdamConfig = field(default_factory=AdamConfig)

    def problems(self) -> Iterator[Problem]:
        yield from _positive(
            self, "batch_size", "gradient_accumulation_step", "grad_clip_thresh", "max_epoch", "max_steps"
        )
        yield from _positive(self, "log_every", "valid_every", "save_every", "keep_last")
        if self.max_epoch is None and self.max_steps is None:
            yield "max_steps", "max_epoch or max_steps must say where training ends"
        for name, most in (("num_workers", 1000), ("num_valid_samples", 1000), ("random_seed", 2**31 - 1)):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= most:
                yield name, f"must be at least 0 and at most {most}, got {value}"
        if self.batch_size > 100_000:
            yield "batch_size", f"must be at most 100000, got {self.batch_size}"


@dataclass(frozen=True)
class FastSpeech2TrainConfig(TrainConfig):
    """Stage 2 of FastSpeech 2."""

    max_batch_frames: int | None = None  # mel frames a batch and process, padding counted; null: batch_size decides
    lr_scheduler: LRSchedulerConfig = field(default_factory=LRSchedulerConfig)

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        yield from _positive(self, "max_batch_frames")


@dataclass(frozen=True)
class HiFiGANTrainConfig(TrainConfig):
    """Stage 2 of HiFi-GAN (arXiv:2010.05646, sec. 3)."""

    grad_clip_thresh: float = 1000.0  # far above a usual norm: it only tames a freak batch
    max_epoch: int | None = None
    max_steps: int | None = 1_000_000
    valid_every: int = 5000
    save_every: int = 5000
    adam: AdamWConfig = field(default_factory=AdamWConfig)
    lr_decay: float = 0.999  # factor of the learning rate ...
    lr_decay_every: int = 800  # ... after so many steps: the paper's epoch, 13,100 clips in batches of 16
    segment_size: int = 8192  # samples of a clip that a step sees, a multiple of the hop size
    mel_loss_weight: float = 45.0
    feature_loss_weight: float = 2.0
    ema_decay: float | None = (
        0.999  # of the average of the generator's weights that is validated and exported; null: none
    )
    num_valid_clips: int = 16  # whole validation clips that are measured

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        yield from _positive(self, "segment_size", "mel_loss_weight", "feature_loss_weight", "num_valid_clips")
        yield from _positive(self, "lr_decay_every")
        for name in ("lr_decay", "ema_decay"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                yield name, f"must be greater than 0 and at most 1, got {value}"


class Sections(NamedTuple):
    """The types of the sections that depend on the model."""

    model: type
    preprocess: type
    train: type


MODEL_TYPES = {
    "FastSpeech2": Sections(FastSpeech2Config, PreprocessConfig, FastSpeech2TrainConfig),
    "HiFiGAN": Sections(HiFiGANConfig, VocoderPreprocessConfig, HiFiGANTrainConfig),
}


@dataclass(frozen=True)
class ExpConfig:
    """One experiment: a recipe's exp_config.json, resolved."""

    model_type: str  # which model: a key of MODEL_TYPES; it decides what the sections below may hold
    model: FastSpeech2Config | HiFiGANConfig | AlignerConfig
    preprocess: AudioConfig
    train: TrainConfig
    dataset: tuple[str, ...] = ()  # the corpus by name
    dataset_path: dict[str, str] = field(default_factory=dict)  # where each corpus lies
    log_dir: str = "ckpts/tts"  # experiments go to <log_dir>/<name>

    def problems(self) -> Iterator[Problem]:
        if len(self.dataset) > 1:
            yield "dataset", f"one corpus an experiment, got {len(self.dataset)}: {', '.join(self.dataset)}"
        for name in self.dataset:
            if not name or name in (".", "..") or "/" in name or "\\" in name:
                yield "dataset", f"{name!r} is not a plain name: features are kept in a folder of this name"
        if isinstance(self.model, HiFiGANConfig):
            product = 1
            for rate in self.model.upsample_rates:
                product *= rate
            if product != self.preprocess.hop_size:
                yield (
                    "model.upsample_rates",
                    f"product is {product}, must equal preprocess.hop_size = {self.preprocess.hop_size}",
                )
        if isinstance(self.train, HiFiGANTrainConfig):
            audio, segment = self.preprocess, self.train.segment_size
            if segment % audio.hop_size:
                multiple = f"must be a multiple of preprocess.hop_size = {audio.hop_size}"
                yield "train.segment_size", f"{multiple}, got {segment}"
            if segment < audio.n_fft:
                yield "train.segment_size", f"must be at least preprocess.n_fft = {audio.n_fft}, got {segment}"
