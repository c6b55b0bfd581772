"""Sections of exp_config.json for FastSpeech 2."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from config.schema import Problem, Section, TrainConfig, positive, probability


@dataclass(frozen=True)
class TransformerConfig(Section):
    """FFT blocks of the encoder (phones) and the decoder (frames)."""

    encoder_layer: int = 4
    encoder_head: int = 2
    encoder_hidden: int = 256
    encoder_dropout: float = 0.2
    decoder_layer: int = 6
    decoder_head: int = 2
    decoder_hidden: int = 256  # equals encoder_hidden: there is no layer between the two
    decoder_dropout: float = 0.2
    conv_filter_size: int = 1024  # channels inside a block's convolutions
    conv_kernel_size: tuple[int, ...] = (9, 1)  # of a block's two convolutions, odd

    def problems(self) -> Iterator[Problem]:
        yield from positive(
            self, "encoder_layer", "encoder_head", "encoder_hidden", "decoder_layer", "decoder_head", "conv_filter_size"
        )
        yield from probability(self, "encoder_dropout", "decoder_dropout")
        if len(self.conv_kernel_size) != 2 or any(k < 1 or k % 2 == 0 for k in self.conv_kernel_size):
            yield "conv_kernel_size", f"must be two odd numbers, got {list(self.conv_kernel_size)}"
        for part in ("encoder", "decoder"):
            hidden, heads = getattr(self, f"{part}_hidden"), getattr(self, f"{part}_head")
            if hidden > 0 and heads > 0 and (hidden % heads or hidden % 2):
                yield f"{part}_hidden", f"must be even and a multiple of {part}_head = {heads}, got {hidden}"
        if self.decoder_hidden != self.encoder_hidden:
            yield "decoder_hidden", f"must equal encoder_hidden = {self.encoder_hidden}, got {self.decoder_hidden}"


@dataclass(frozen=True)
class VariancePredictorConfig(Section):
    """The duration, pitch and energy predictors: two convolutions and a linear layer each."""

    filter_size: int = 256  # channels
    kernel_size: int = 3  # odd
    dropout: float = 0.5

    def problems(self) -> Iterator[Problem]:
        yield from positive(self, "filter_size")
        yield from probability(self, "dropout")
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            yield "kernel_size", f"must be odd, got {self.kernel_size}"


@dataclass(frozen=True)
class VarianceEmbeddingConfig(Section):
    """Pitch and energy enter the decoder as embeddings of quantized values."""

    n_bins: int = 256
    pitch_quantization: Literal["linear", "log"] = "linear"
    energy_quantization: Literal["linear", "log"] = "linear"

    def problems(self) -> Iterator[Problem]:
        if self.n_bins < 2:
            yield "n_bins", f"must be at least 2, got {self.n_bins}"


@dataclass(frozen=True)
class PostNetConfig(Section):
    """The convolutions that refine the mel (Tacotron 2, arXiv:1712.05884, sec. 2.2)."""

    hidden: int = 512  # channels
    layers: int = 5
    kernel_size: int = 5  # odd
    dropout: float = 0.5

    def problems(self) -> Iterator[Problem]:
        yield from positive(self, "hidden")
        yield from probability(self, "dropout")
        if self.layers < 2:
            yield "layers", f"must be at least 2, got {self.layers}"
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            yield "kernel_size", f"must be odd, got {self.kernel_size}"


@dataclass(frozen=True)
class FastSpeech2Config(Section):
    """The model section for model_type "FastSpeech2"."""

    max_seq_len: int = 4000  # frames (46 s at the default hop): limit of a mel in training and of a piece in synthesis
    mask_padding: bool = True  # false: padding leaks into a batch's shorter rows, as in Amphion's published models
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    variance_predictor: VariancePredictorConfig = field(default_factory=VariancePredictorConfig)
    variance_embedding: VarianceEmbeddingConfig = field(default_factory=VarianceEmbeddingConfig)
    postnet: PostNetConfig = field(default_factory=PostNetConfig)

    def problems(self) -> Iterator[Problem]:
        yield from positive(self, "max_seq_len")


@dataclass(frozen=True)
class LRSchedulerConfig(Section):
    """The Noam schedule (arXiv:1706.03762, sec. 5.3): lr * min(step ** -0.5, step * num_warmup ** -1.5)."""

    num_warmup: int = 4000  # steps

    def problems(self) -> Iterator[Problem]:
        yield from positive(self, "num_warmup")


@dataclass(frozen=True)
class FastSpeech2TrainConfig(TrainConfig):
    """Stage 2 of FastSpeech 2."""

    max_batch_frames: int | None = None  # mel frames per batch and process, with padding; null: batch_size decides
    lr_scheduler: LRSchedulerConfig = field(default_factory=LRSchedulerConfig)
    mel_loss_weight: float = 1.0  # applies to the mel before and after the PostNet
    duration_loss_weight: float = 1.0
    pitch_loss_weight: float = 1.0
    energy_loss_weight: float = 1.0

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        yield from positive(self, "max_batch_frames", "mel_loss_weight")
        for name in ("duration_loss_weight", "pitch_loss_weight", "energy_loss_weight"):
            if getattr(self, name) < 0:
                yield name, f"must not be negative, got {getattr(self, name)}"
