"""A HiFi-GAN generator ready to use: mels in, waveforms out.

What was tried for a CPU, on 8 s of speech and one core with AVX2, in processor time: padding before the convolution
(`generator.SameConv1d`) and chunks make V1, V2 and V3 1.3, 1.5 and 1.3 times as fast as the plain generator.
ONNX Runtime is 1.06, 1.3 and 1.3 times as fast as that: too little for a second form of every model. torch.compile
gains 1.05 after minutes, TorchScript's freezing nothing, and bfloat16 without hardware for it takes 15 times as long.
"""

import torch
from torch import Tensor

from models.vocoder.chunked import ChunkedVocoder, Part
from models.vocoder.hifigan.generator import HiFiGANGenerator
from utils.logging import logger


class HiFiGANVocoder(ChunkedVocoder):
    """Callable: log-mels -> waveforms. Chunks of 256 frames have a neighborhood of some 26 for the paper's shapes."""

    def __init__(self, generator: HiFiGANGenerator, mel: dict[str, float], source: str) -> None:
        """Wraps a generator.

        Args:
            generator: in eval mode.
            mel: the known fields of MelSettings.
            source: the folder, for messages.
        """
        super().__init__(generator.hop_size, generator.receptive_field(), mel, source)
        self.generator = generator

    def parts(self, mel: Tensor) -> Part:
        """A function that synthesizes parts of one utterance, mel [T, n_mel]."""
        return lambda first, last: self.generate(mel[None, first:last])[0]

    def generate(self, mel: Tensor, mel_lengths: Tensor | None = None) -> Tensor:
        """mel [B, T, n_mel] -> [B, T * hop_size] float32."""
        dtype = self.generator.conv_pre.weight.dtype
        waves = self.generator(mel.to(dtype).transpose(1, 2), mel_lengths)[:, 0]
        if dtype == torch.float16 and not waves.isfinite().all() and mel.isfinite().all():
            logger.warning("%s: its values exceed half precision; it continues in single precision", self.source)
            self.generator.float()
            return self.generate(mel, mel_lengths)
        return waves
