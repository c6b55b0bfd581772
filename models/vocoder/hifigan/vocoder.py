"""Inference with a HiFi-GAN generator: mels in, waveforms out.

Optimizations for the CPU, measured as processor time for 8 s of speech on one core with AVX2: padding before the
convolution (`generator.SameConv1d`) and chunks make V1, V2 and V3 1.3, 1.5 and 1.3 times as fast as the plain
generator. ONNX Runtime is 1.06, 1.3 and 1.3 times as fast as that: too little to justify a second form of every model.
torch.compile gains 1.05 after minutes of compilation, freezing with TorchScript nothing, and bfloat16 without hardware
support takes 15 times as long.
"""

import torch
from torch import Tensor

from models.graphs import RecordedFunction
from models.vocoder.chunked import ChunkedVocoder, Part
from models.vocoder.hifigan.generator import HiFiGANGenerator
from utils.logging import logger


class HiFiGANVocoder(ChunkedVocoder):
    """Turns log-mels into waveforms. With the paper's shapes, chunks of 256 frames need about 26 frames of context."""

    def __init__(self, generator: HiFiGANGenerator, mel: dict[str, float], source: str) -> None:
        """Wraps a generator.

        Args:
            generator: in eval mode.
            mel: the known fields of MelSettings.
            source: the vocoder's folder, for messages.
        """
        super().__init__(generator.hop_size, generator.receptive_field(), mel, source)
        self.generator = generator

    def parts(self, mel: Tensor) -> Part:
        """Returns a function that synthesizes parts of one utterance, mel [T, n_mel]."""
        return lambda first, last: self.generate(mel[None, first:last])[0]

    def generate(self, mel: Tensor, mel_lengths: Tensor | None = None) -> Tensor:
        """Synthesizes mel [B, T, n_mel] -> audio [B, T * hop_size], float32; in single precision if half overflows."""
        waves = super().generate(mel, mel_lengths)
        half = self.generator.conv_pre.weight.dtype == torch.float16
        if half and not waves.isfinite().all() and mel.isfinite().all():
            logger.warning("%s: values exceed the range of half precision; continuing in single precision", self.source)
            self.generator.float()
            self._recorded = RecordedFunction(self.network)  # the old recordings read the weights that are gone
            return self.generate(mel, mel_lengths)
        return waves

    def network(self, mel: Tensor, mel_lengths: Tensor | None) -> dict[str, Tensor]:
        """Computes {"wav": [B, T * hop_size]} from mel [B, T, n_mel]."""
        return {"wav": self.generator(mel.to(self.generator.conv_pre.weight.dtype).transpose(1, 2), mel_lengths)[:, 0]}
