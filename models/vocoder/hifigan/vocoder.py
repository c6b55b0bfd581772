"""A HiFi-GAN generator ready to use: mels in, waveforms out.

What was tried for a CPU, on 8 s of speech and one core with AVX2, in processor time: padding before the convolution
(`generator.SameConv1d`) and chunks make V1, V2 and V3 1.3, 1.5 and 1.3 times as fast as the plain generator.
ONNX Runtime is 1.06, 1.3 and 1.3 times as fast as that: too little for a second form of every model. torch.compile
gains 1.05 after minutes, TorchScript's freezing nothing, and bfloat16 without hardware for it takes 15 times as long.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import asdict

import torch
from torch import Tensor

from config.schema import MelSettings
from models.vocoder.hifigan.generator import HiFiGANGenerator
from utils.errors import UserError
from utils.logging import logger

# Frames that are made at once. On a CPU so few that memory stays low, and so many that the neighborhood of a chunk,
# some 26 frames for the paper's shapes, costs a tenth; on a GPU enough to fill it.
CPU_FRAMES = 256
GPU_FRAMES = 12_000
FIRST_FRAMES = 16  # of the first chunk of a stream: 0.2 s at the usual hop


class HiFiGANVocoder:
    """Callable: log-mels -> waveforms. An utterance sounds the same alone and in any batch."""

    def __init__(self, generator: HiFiGANGenerator, mel: dict[str, float], source: str) -> None:
        """Args: generator: in eval mode; mel: the known fields of MelSettings; source: the folder, for messages."""
        self.generator = generator
        self.context = generator.receptive_field()  # frames before and after
        self.mel = mel
        self.source = source

    def check_mel(self, acoustic: MelSettings) -> None:
        """Compares an acoustic model's mel with the one that this vocoder was trained on.

        A field that the vocoder's folder does not state is named in one warning.

        Raises:
            UserError: a field differs; every such field is named with both values.
        """
        fields = asdict(acoustic)
        differing = [
            f"{name}: {value:g} (acoustic model), {self.mel[name]:g} (vocoder)"
            for name, value in fields.items()
            if name in self.mel and self.mel[name] != value
        ]
        if differing:
            raise UserError(
                f"{self.source}: this vocoder was trained on another mel than the acoustic model makes; "
                + "; ".join(differing),
                2,
            )
        unknown = [name for name in fields if name not in self.mel]
        if unknown:
            logger.warning(
                "%s does not state %s: could not be checked against the acoustic model",
                self.source,
                ", ".join(unknown),
            )

    @torch.inference_mode()
    def __call__(self, mel: Tensor, mel_lengths: Tensor) -> list[Tensor]:
        """Synthesizes a batch; its memory is bounded, whatever the lengths.

        Args:
            mel: [B, T, n_mel] float32 log-mel, any content beyond a row's length.
            mel_lengths: [B] int64 frames.

        Returns: a float32 waveform [mel_lengths[i] * hop_size] in -1..1 for each row, on the mel's device.

        Raises: ValueError: a length is below 1 or above T.
        """
        lengths = mel_lengths.tolist()
        if not all(1 <= length <= mel.shape[1] for length in lengths):
            raise ValueError(f"mel_lengths must be 1 to {mel.shape[1]}, got {lengths}")
        if mel.device.type == "cpu":  # one row at a time stays in the cache: 1.4 times as fast as a batch, no padding
            rows = [row[:length] for row, length in zip(mel, lengths, strict=True)]
            return [torch.cat(list(self._chunks(row, itertools.repeat(CPU_FRAMES)))) for row in rows]
        waves: list[Tensor] = []
        rows_at_once = max(1, GPU_FRAMES // max(lengths))
        for start in range(0, len(lengths), rows_at_once):
            some = slice(start, start + rows_at_once)
            waves += self._batch(mel[some], mel_lengths[some], lengths[some])
        return waves

    @torch.inference_mode()
    def stream(self, mel: Tensor) -> Iterator[Tensor]:
        """Synthesizes one utterance from its start on, so that the first sound comes before the last is made.

        The first chunk is short, and each next one twice as long, up to what is most efficient: to play without a gap,
        the machine must be some three times as fast as speech.

        Args:
            mel: [T, n_mel] float32 log-mel, T at least 1.

        Yields: float32 waveforms; one after the other they are what the whole mel gives, T * hop_size samples.
        """
        largest = CPU_FRAMES if mel.device.type == "cpu" else GPU_FRAMES
        yield from self._chunks(mel, (min(FIRST_FRAMES << i, largest) for i in itertools.count()))

    def _batch(self, mel: Tensor, mel_lengths: Tensor, lengths: list[int]) -> list[Tensor]:
        """Rows together in one pass, or, when they are a single long one, in chunks."""
        if len(lengths) == 1:
            return [torch.cat(list(self._chunks(mel[0, : lengths[0]], itertools.repeat(GPU_FRAMES))))]
        ragged = min(lengths) < max(lengths)
        waves = self._generate(mel[:, : max(lengths)], mel_lengths if ragged else None)
        return [wave[: length * self.generator.hop_size] for wave, length in zip(waves, lengths, strict=True)]

    def _chunks(self, mel: Tensor, sizes: Iterable[int]) -> Iterator[Tensor]:
        """The waveform of mel [T, n_mel] in chunks of so many frames, each made with the neighborhood that it hears."""
        hop_size, total, start = self.generator.hop_size, len(mel), 0
        for size in sizes:
            end = min(start + size, total)
            first, last = max(0, start - self.context[0]), min(total, end + self.context[1])
            wave = self._generate(mel[None, first:last])[0]
            yield wave[(start - first) * hop_size : (end - first) * hop_size]
            if end == total:
                return
            start = end

    def _generate(self, mel: Tensor, mel_lengths: Tensor | None = None) -> Tensor:
        """mel [B, T, n_mel] -> [B, T * hop_size] float32."""
        dtype = self.generator.conv_pre.weight.dtype
        waves = self.generator(mel.to(dtype).transpose(1, 2), mel_lengths)[:, 0]
        if dtype == torch.float16 and not waves.isfinite().all() and mel.isfinite().all():
            logger.warning("%s: its values exceed half precision; it goes on in single precision", self.source)
            self.generator.float()
            return self._generate(mel, mel_lengths)
        return waves
