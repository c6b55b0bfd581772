"""The moving average of the generator's weights, which sounds steadier than any single step's."""

import torch
from torch import Tensor, nn

from modules.weight_norm import fused_state_dict


class WeightAverage:
    """An exponential moving average of a weight-normed generator's weights, kept fused and ready to synthesize."""

    def __init__(self, average: nn.Module, decay: float) -> None:
        """Takes the start of the average.

        Args:
            average: holds the average, and its start.
            decay: of the average, below 1; smaller in the first steps, so that the start is forgotten.
        """
        self.module = average.eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, generator: nn.Module, step: int) -> None:
        """Takes in the weights after an optimizer step, counted from 1."""
        decay = min(self.decay, step / (step + 10))
        fused = fused_state_dict(generator)
        own: dict[str, Tensor] = self.module.state_dict()
        torch._foreach_lerp_([own[name] for name in fused], list(fused.values()), 1 - decay)
