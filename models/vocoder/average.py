"""Moving average of the generator's weights, which sounds steadier than the weights of any single step."""

import torch
from torch import Tensor, nn

from modules.weight_norm import fused_state_dict


class WeightAverage:
    """Exponential moving average of the weights of a weight-normed generator, stored fused and ready to synthesize."""

    def __init__(self, average: nn.Module, decay: float) -> None:
        """Freezes the generator that stores the average.

        Args:
            average: a generator whose weights are the start of the average, and are updated in place.
            decay: of the average, below 1; lower in the first steps, so that the start is forgotten.
        """
        self.module = average.eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, generator: nn.Module, step: int) -> None:
        """Updates the average with the weights after an optimizer step, counted from 1."""
        decay = min(self.decay, step / (step + 10))
        fused = fused_state_dict(generator)
        averaged: dict[str, Tensor] = self.module.state_dict()
        torch._foreach_lerp_([averaged[name] for name in fused], list(fused.values()), 1 - decay)
