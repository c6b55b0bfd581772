"""The keys of exp_config.json that all models share: type, default, unit and meaning of each.

The keys of one model are in the config.py of its folder (models/tts/fastspeech2, models/vocoder/hifigan).

Keys that Amphion has too have the same names, so that its users recognize them. Each section is a frozen dataclass;
`problems` yields the errors in its values that are not errors of type, and `config.load` reports all of them together.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Problem = tuple[str, str]  # the key inside its section, and the error in its value

# Keys of the preprocess section that are specific to a machine: features do not depend on paths.
PATH_KEYS = ("processed_dir", "textgrid_dir", "lexicon_path")


class Section:
    """The base class of the sections of the configuration."""

    def problems(self) -> Iterator[Problem]:
        """Yields every value that is wrong by itself or does not fit another value of this section."""
        yield from ()

    def problems_in(self, config: "ExpConfig") -> Iterator[Problem]:
        """Yields every value that does not fit the other sections of `config`."""
        yield from ()


def positive(section: object, *names: str) -> Iterator[Problem]:
    """Yields the fields that are neither None nor greater than 0."""
    for name in names:
        value = getattr(section, name)
        if value is not None and value <= 0:
            yield name, f"must be greater than 0, got {value}"


def probability(section: object, *names: str) -> Iterator[Problem]:
    """Yields the fields that are not in [0, 1)."""
    for name in names:
        if not 0 <= getattr(section, name) < 1:
            yield name, f"must be at least 0 and less than 1, got {getattr(section, name)}"


@dataclass(frozen=True)
class MelSettings(Section):
    """The settings of a mel spectrogram; an acoustic model and its vocoder must agree on all of them."""

    sample_rate: int
    n_fft: int
    win_size: int
    hop_size: int
    n_mel: int
    fmin: float
    fmax: float


@dataclass(frozen=True)
class AudioConfig(Section):
    """Stage 1: the settings that the features of every model depend on."""

    processed_dir: str = "data"  # features go to <processed_dir>/<dataset>
    sample_rate: int = 22050  # Hz; audio of another rate is resampled
    n_fft: int = 1024  # samples in a Fourier transform
    win_size: int = 1024  # samples, Hann window
    hop_size: int = 256  # samples between mel frames
    n_mel: int = 80  # mel bands
    fmin: float = 0.0  # Hz, lower edge of the mel bands
    fmax: float = 8000.0  # Hz, upper edge of the mel bands
    f0_min: float = 71.0  # Hz, lowest pitch that is detected
    f0_max: float = 800.0  # Hz, highest pitch that is detected
    subsets: tuple[str, ...] = ()  # parts of the corpus, such as "train-clean-100" of LibriTTS; empty: all
    max_seconds: float = 20.0  # a longer recording is skipped
    valid_fraction: float = 0.02  # share of the utterances for validation
    test_fraction: float = 0.02  # share of the utterances for testing
    split_seed: int = 1234  # selects the validation and test sets

    @property
    def mel(self) -> MelSettings:
        """Only the settings of the mel."""
        return MelSettings(self.sample_rate, self.n_fft, self.win_size, self.hop_size, self.n_mel, self.fmin, self.fmax)

    def problems(self) -> Iterator[Problem]:
        yield from positive(self, "sample_rate", "n_fft", "win_size", "hop_size", "n_mel")
        yield from positive(self, "f0_min", "f0_max", "max_seconds")
        yield from probability(self, "valid_fraction", "test_fraction")
        if self.valid_fraction + self.test_fraction >= 1:
            yield (
                "valid_fraction",
                "valid_fraction + test_fraction must be less than 1, so that utterances are left to train on",
            )
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

    textgrid_dir: str | None = None  # folder of the alignments; null: the folder TextGrid inside the corpus
    alignment: Literal["auto", "textgrid", "learned"] = "auto"  # auto: TextGrids if there are any, else learned
    max_misfit: float | None = 10.0  # limit on the misfit of a learned alignment, standard deviations; null: none
    lexicon_path: str | None = None  # file of pronunciations, lines of "WORD PH PH ..."
    pitch_extractor: Literal["dio", "harvest", "swift-f0"] = "dio"

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        yield from positive(self, "max_misfit")


@dataclass(frozen=True)
class VocoderPreprocessConfig(AudioConfig):
    """Stage 1 of a vocoder: from recordings, which need no texts, to audio of one rate."""

    trim_db: float | None = 60.0  # dB below the peak that count as silence at the ends of a recording; null: no trim

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        yield from positive(self, "trim_db")


@dataclass(frozen=True)
class PitchedVocoderPreprocessConfig(VocoderPreprocessConfig):
    """Stage 1 of a vocoder that is also trained on the pitch of its clips."""

    pitch_extractor: Literal["dio", "harvest", "swift-f0"] = "dio"


@dataclass(frozen=True)
class AdamConfig(Section):
    """The Adam optimizer."""

    lr: float = 0.0625  # factor of the learning-rate schedule; 0.0625 = 256 ** -0.5
    betas: tuple[float, ...] = (0.9, 0.98)
    eps: float = 1e-9
    weight_decay: float = 0.0

    def problems(self) -> Iterator[Problem]:
        yield from positive(self, "lr", "eps")
        if self.weight_decay < 0:
            yield "weight_decay", f"must not be negative, got {self.weight_decay}"
        if len(self.betas) != 2 or any(not 0 <= b < 1 for b in self.betas):
            yield "betas", f"must be two numbers of at least 0 and less than 1, got {list(self.betas)}"


@dataclass(frozen=True)
class TrainConfig(Section):
    """Stage 2, for every model. A step is an optimizer step."""

    random_seed: int = 10086  # for the initial weights, the order of the batches and the dropout
    batch_size: int = 16  # utterances per batch and process, before accumulation
    gradient_accumulation_step: int = 1  # batches per optimizer step, whose gradients are accumulated
    grad_clip_thresh: float = 1.0  # limit on the norm of the gradient
    mixed_precision: Literal["auto", "no", "bf16"] = "auto"  # auto: bf16 on a GPU that supports it, else no
    max_epoch: int | None = 1000  # training stops here or at max_steps, whichever comes first
    max_steps: int | None = 200_000
    # Features are read once, into the device's memory; auto: on a GPU if they need less than half of its free memory.
    data_on_device: Literal["auto", True, False] = "auto"
    # "graphs": one GPU launches a whole step (CUDA graphs); "kernels": torch.compile fuses parts of the model; true:
    # both. The first steps take longer. "auto": "graphs" on one GPU, else false.
    compile: Literal["auto", True, False, "kernels", "graphs"] = "auto"
    num_workers: int | None = None  # processes that load batches; null: 0 on a CPU, up to 4 on a GPU
    log_every: int = 50  # steps between log lines
    valid_every: int = 1000  # steps between validations
    save_every: int = 1000  # steps between checkpoints
    keep_last: int = 3  # number of newest checkpoints that are kept, in addition to the best weights
    num_valid_samples: int = 4  # validation utterances with plots and audio in TensorBoard
    adam: AdamConfig = field(default_factory=AdamConfig)

    def problems(self) -> Iterator[Problem]:
        yield from positive(
            self, "batch_size", "gradient_accumulation_step", "grad_clip_thresh", "max_epoch", "max_steps"
        )
        yield from positive(self, "log_every", "valid_every", "save_every", "keep_last")
        if self.max_epoch is None and self.max_steps is None:
            yield "max_steps", "max_epoch or max_steps must be set, because training has to end"
        for name, most in (("num_workers", 1000), ("num_valid_samples", 1000), ("random_seed", 2**31 - 1)):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= most:
                yield name, f"must be at least 0 and at most {most}, got {value}"
        if self.batch_size > 100_000:
            yield "batch_size", f"must be at most 100000, got {self.batch_size}"


@dataclass(frozen=True)
class ExpConfig(Section):
    """The configuration of an experiment: a resolved exp_config.json."""

    model_type: str  # a key of config.registry.MODELS; it determines the keys of the next three sections
    model: Any  # a Section; the model defines its class
    preprocess: AudioConfig
    train: TrainConfig
    dataset: tuple[str, ...] = ()  # names of the corpora
    dataset_path: dict[str, str] = field(default_factory=dict)  # corpus -> its folder
    log_dir: str = "ckpts/tts"  # experiments go to <log_dir>/<name>

    @property
    def data_dirs(self) -> list[Path]:
        """The folders with the features of the corpora."""
        return [Path(self.preprocess.processed_dir) / name for name in self.dataset]

    def problems(self) -> Iterator[Problem]:
        if len(set(self.dataset)) < len(self.dataset):
            yield "dataset", f"names a corpus twice: {', '.join(self.dataset)}"
        for name in self.dataset:
            if not name or name in (".", "..") or "/" in name or "\\" in name:
                yield "dataset", f"{name!r} is not a plain name: features are kept in a folder of this name"
        for name, section in (("model", self.model), ("train", self.train)):
            if isinstance(section, Section):  # it is a plain dict if the model is unknown
                yield from ((f"{name}.{key}", message) for key, message in section.problems_in(self))
