"""Inference with vocoders: mels in, waveforms out, in chunks that limit memory and latency."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict

import torch
import torch.nn.functional as F
from torch import Tensor

from config.schema import MelSettings
from models.graphs import RecordedFunction
from utils.errors import UserError
from utils.logging import logger

GPU_FRAMES = 12_000  # per pass on a GPU: enough to keep it busy
# On a GPU, mels are padded to a multiple of this many frames, because cuDNN and cuFFT plan their work for each new
# shape. On an H200, a sentence of a new length then takes HiFi-GAN V1 10 ms instead of 75.
GPU_MULTIPLE = 64
FIRST_FRAMES = 16  # first chunk of a stream: 0.2 s at the usual hop

Part = Callable[[int, int], Tensor]  # first and last frame of an utterance -> its samples [(last - first) * hop_size]


class ChunkedVocoder:
    """Turns log-mels into waveforms. An utterance sounds the same alone and in any batch, whole and in chunks."""

    # Frames per chunk on a CPU: few, to save memory, but enough to keep the overlap between chunks cheap.
    cpu_frames = 256

    def __init__(self, hop_size: int, context: tuple[int, int], mel: dict[str, float], source: str) -> None:
        """Stores the properties of the vocoder.

        Args:
            hop_size: samples per frame.
            context: numbers of frames before and after a frame on which its samples depend.
            mel: the known fields of MelSettings.
            source: the vocoder's folder, for messages.
        """
        self.hop_size, self.context = hop_size, context
        self.mel, self.source = mel, source
        self._recorded = RecordedFunction(self.network)

    def network(self, mel: Tensor, mel_lengths: Tensor | None) -> dict[str, Tensor]:
        """Computes {"wav": [B, T * hop_size]} from mel [B, T, n_mel] without waiting for the device."""
        raise NotImplementedError

    def generate(self, mel: Tensor, mel_lengths: Tensor | None = None) -> Tensor:
        """Synthesizes utterances in one pass.

        Args:
            mel: [B, T, n_mel] log-mel.
            mel_lengths: [B] int64 frames; None: all have T.

        Returns:
            Waveforms, float32 [B, T * hop_size].
        """
        if mel_lengths is None or len(mel) > 1:
            return self.network(mel, mel_lengths)["wav"]
        # With a single row, a GPU would wait for the host, which launches one kernel after the other.
        return self._recorded(mel=mel, mel_lengths=mel_lengths)["wav"]

    def parts(self, mel: Tensor) -> Part:
        """Returns a function that synthesizes parts of one utterance, mel [T, n_mel].

        A part differs from the whole only within `context` frames of its ends.
        """
        raise NotImplementedError

    def check_mel(self, acoustic: MelSettings) -> None:
        """Compares an acoustic model's mel with the one that this vocoder was trained on.

        One warning names the fields that the vocoder's folder does not state.

        Raises:
            UserError: fields differ; the message names each with both values.
        """
        fields = asdict(acoustic)
        differing = [
            f"{name}: {value:g} (acoustic model), {self.mel[name]:g} (vocoder)"
            for name, value in fields.items()
            if name in self.mel and self.mel[name] != value
        ]
        if differing:
            raise UserError(
                f"{self.source}: this vocoder was trained on a mel that differs from the acoustic model's: "
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
        """Synthesizes a batch with limited memory, whatever the lengths.

        Args:
            mel: [B, T, n_mel] float32 log-mel, any content after a row's length.
            mel_lengths: [B] int64 frames.

        Returns:
            For each row a float32 waveform [mel_lengths[i] * hop_size] in -1..1, on the mel's device.

        Raises:
            ValueError: a length is below 1 or above T.
        """
        lengths = mel_lengths.tolist()
        if not all(1 <= length <= mel.shape[1] for length in lengths):
            raise ValueError(f"mel_lengths must be 1 to {mel.shape[1]}, got {lengths}")
        if mel.device.type == "cpu":  # single rows fit the cache: 1.4 times as fast as a batch, no padding
            rows = [row[:length] for row, length in zip(mel, lengths, strict=True)]
            return [torch.cat(list(self._chunks(row, itertools.repeat(self.cpu_frames)))) for row in rows]
        waves: list[Tensor] = []
        rows_per_pass = max(1, GPU_FRAMES // max(lengths))
        for start in range(0, len(lengths), rows_per_pass):
            rows_of_pass = slice(start, start + rows_per_pass)
            waves += self._batch(mel[rows_of_pass], mel_lengths[rows_of_pass], lengths[rows_of_pass])
        return waves

    @torch.inference_mode()
    def stream(self, mel: Tensor) -> Iterator[Tensor]:
        """Synthesizes one utterance chunk by chunk, so that playback can start early.

        The first chunk is short, and each next one twice as long, up to the most efficient size. To play without gaps,
        synthesis must be about three times as fast as speech.

        Args:
            mel: [T, n_mel] float32 log-mel, T at least 1.

        Yields:
            float32 waveforms; concatenated, they are the waveform of the whole mel, T * hop_size samples.
        """
        largest = self.cpu_frames if mel.device.type == "cpu" else GPU_FRAMES
        yield from self._chunks(mel, (min(FIRST_FRAMES << i, largest) for i in itertools.count()))

    def _batch(self, mel: Tensor, mel_lengths: Tensor, lengths: list[int]) -> list[Tensor]:
        """Synthesizes rows in one pass, or a single long row in chunks."""
        if len(lengths) == 1 and lengths[0] > GPU_FRAMES:
            return [torch.cat(list(self._chunks(mel[0, : lengths[0]], itertools.repeat(GPU_FRAMES))))]
        num_frames = -(-max(lengths) // GPU_MULTIPLE) * GPU_MULTIPLE
        waves = self.generate(F.pad(mel, (0, 0, 0, num_frames - mel.shape[1])), mel_lengths)
        return [wave[: length * self.hop_size] for wave, length in zip(waves, lengths, strict=True)]

    def _chunks(self, mel: Tensor, sizes: Iterable[int]) -> Iterator[Tensor]:
        """Yields the waveform of mel [T, n_mel] in chunks of these sizes in frames, each computed with its context."""
        part, total, start = self.parts(mel), len(mel), 0
        for size in sizes:
            end = min(start + size, total)
            first, last = max(0, start - self.context[0]), min(total, end + self.context[1])
            yield part(first, last)[(start - first) * self.hop_size : (end - first) * self.hop_size]
            if end == total:
                return
            start = end
