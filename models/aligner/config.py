"""The aligner's settings."""

from collections.abc import Iterator
from dataclasses import dataclass

from config.schema import Problem, Section, positive


@dataclass(frozen=True)
class AlignerConfig(Section):
    """The model section for model_type "Aligner": how stage 1 learns the alignment."""

    channels: int = 80  # dimensions of the space in which phones and frames are compared
    temperature: float = 0.01  # factor of the squared distance
    blank: float = -1.0  # score of "no phone", compared with all phones of a frame; only in training

    def problems(self) -> Iterator[Problem]:
        yield from positive(self, "channels", "temperature")
