"""Inference with a source-filter generator: mels in, waveforms out."""

from torch import Tensor

from models.vocoder.chunked import ChunkedVocoder, Part
from models.vocoder.sourcefilter.generator import Source, SourceFilterGenerator, heard_pitch


class SourceFilterVocoder(ChunkedVocoder):
    """Turns log-mels into waveforms; chunks share the source of the whole utterance, so that they join seamlessly."""

    cpu_frames = 512

    def __init__(self, generator: SourceFilterGenerator, mel: dict[str, float], source: str) -> None:
        """Wraps a generator.

        Args:
            generator: in eval mode.
            mel: all fields of MelSettings.
            source: the vocoder's folder, for messages.
        """
        super().__init__(generator.mel.hop_size, (generator.reach, generator.reach), mel, source)
        self.generator = generator

    def parts(self, mel: Tensor) -> Part:
        """Returns a function that synthesizes parts of one utterance, mel [T, n_mel]; its pitch is predicted once."""
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

    def network(self, mel: Tensor, mel_lengths: Tensor | None) -> dict[str, Tensor]:
        """Computes {"wav": [B, T * hop_size]} from mel [B, T, n_mel]."""
        return {"wav": self.generator(mel, mel_lengths=mel_lengths).wav}
