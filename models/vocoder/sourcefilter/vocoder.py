"""A source-filter generator ready to use: mels in, waveforms out."""

from torch import Tensor

from models.vocoder.chunked import ChunkedVocoder, Part
from models.vocoder.sourcefilter.generator import Source, SourceFilterGenerator, heard_pitch


class SourceFilterVocoder(ChunkedVocoder):
    """Callable: log-mels -> waveforms. The source is that of the whole utterance: chunks join without a seam."""

    cpu_frames = 512

    def __init__(self, generator: SourceFilterGenerator, mel: dict[str, float], source: str) -> None:
        """Wraps a generator.

        Args:
            generator: in eval mode.
            mel: all fields of MelSettings.
            source: the folder, for messages.
        """
        super().__init__(generator.mel.hop_size, (generator.reach, generator.reach), mel, source)
        self.generator = generator

    def parts(self, mel: Tensor) -> Part:
        """A function that synthesizes parts of one utterance, mel [T, n_mel], whose pitch is read once."""
        generator, hop_size = self.generator, self.hop_size
        whole = generator.source(heard_pitch(generator.read_pitch(mel[None])))

        def part(first: int, last: int) -> Tensor:
            source = Source(
                whole.pitch[:, first:last],
                whole.phases[:, first : last + 1],
                whole.noise[:, first * hop_size : last * hop_size],
            )
            return generator.filter(mel[None, first:last], source)[0]

        return part

    def generate(self, mel: Tensor, mel_lengths: Tensor | None = None) -> Tensor:
        """mel [B, T, n_mel] -> [B, T * hop_size] float32."""
        return self.generator(mel, mel_lengths=mel_lengths).wav
