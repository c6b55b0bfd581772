"""Adversarial training of a generator, shared by HiFi-GAN and the source-filter vocoder."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from config.schema import AdamConfig
from models.training.loading import make_adam
from models.training.window import Sums
from models.vocoder.trainer import VocoderTrainer, trying_algorithms


class AdversarialTrainer(VocoderTrainer):
    """Trains the discriminators for one step, then the generator against the updated discriminators.

    A subclass implements `generator_inputs`, `waveform` and `generator_losses`. Its `build` calls `build_data` first
    and `build_networks` last.
    """

    @property
    def has_adversary(self) -> bool:
        """Whether the current or next step trains against discriminators."""
        return True

    def generator_inputs(self, batch: Any) -> tuple[Tensor, ...]:
        """Returns the arguments of the generator."""
        raise NotImplementedError

    def waveform(self, generated: Any) -> Tensor:
        """Returns the waveform [B, 1, N] from the generator's output."""
        raise NotImplementedError

    def generator_losses(self, batch: Any, real: Tensor, generated: Any) -> dict[str, Tensor]:
        """Computes the generator's losses by name, and their weighted sum "total".

        Args:
            batch: on the device.
            real: [B, 1, N] recorded segments.
            generated: the generator's output.
        """
        raise NotImplementedError

    def build_networks(self, generator: nn.Module, adversary: nn.Module, average: nn.Module, adam: AdamConfig) -> None:
        """Creates an AdamW per network, passes all to accelerate, and starts the average of the generator's weights.

        Args:
            generator: with weight norm, if it uses any.
            adversary: a models.vocoder.adversary.Adversary.
            average: another generator of the same shape, without weight norm.
            adam: the settings of both optimizers.
        """
        optimizers = [make_adam(torch.optim.AdamW, network, adam) for network in (generator, adversary)]
        self.model, self.adversary, *self.optimizers = self.accelerator.prepare(generator, adversary, *optimizers)
        self.build_average(generator, average)

    def train_step(self, batches: Sequence[Any], counts: dict[str, Tensor]) -> dict[str, Tensor]:
        """Trains the discriminators, if this step has them, and the generator."""
        with trying_algorithms():
            figures, generated = Sums(), []
            inputs = [self.generator_inputs(batch) for batch in batches]
            reals = [self.target(batch) for batch in batches]
            if self.has_adversary:
                generated = self._train_adversary(inputs, reals, counts, figures)
            self._train_generator(batches, inputs, reals, generated, counts, figures)
            return figures

    def _train_adversary(
        self, inputs: list[tuple[Tensor, ...]], reals: list[Tensor], counts: dict[str, Tensor], figures: Sums
    ) -> list[Any]:
        """Trains the discriminators for one step.

        Returns:
            The generator's output with its autograd graph, for the generator's step, if there is a single batch; else
            an empty list, because the graphs of several batches would not fit into memory.
        """
        single, generated = len(inputs) == 1, []
        for number, (arguments, real) in enumerate(zip(inputs, reals, strict=True), 1):
            with torch.set_grad_enabled(single):
                generated.append(self.model(*arguments))
            self.adversary.train(number == 1)  # the estimates of spectral norms improve once per step
            with self.exchanging_gradients(self.adversary, number == len(inputs)):
                loss = self.adversary(real, self.waveform(generated[-1]).detach())
                loss = loss * (len(real) / counts["segments"])
                self.accelerator.backward(loss)
            figures.add({"discriminator": loss})
        figures["discriminator_gradient_norm"] = self._update(self.adversary, self.optimizers[1])
        return generated if single else []

    def _train_generator(
        self,
        batches: Sequence[Any],
        inputs: list[tuple[Tensor, ...]],
        reals: list[Tensor],
        generated: list[Any],
        counts: dict[str, Tensor],
        figures: Sums,
    ) -> None:
        """Trains the generator for one step; `generated` is its output if `_train_adversary` returned it."""
        for number, (batch, arguments, real) in enumerate(zip(batches, inputs, reals, strict=True), 1):
            with self.exchanging_gradients(self.model, number == len(batches)):
                output = generated[0] if generated else self.model(*arguments)
                losses = self.generator_losses(batch, real, output)
                losses = {name: loss * (len(real) / counts["segments"]) for name, loss in losses.items()}
                self.accelerator.backward(losses["total"])
            figures.add(losses)
        figures["gradient_norm"] = self._update(self.model, self.optimizers[0])

    def _update(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> Tensor:
        """Clips the gradients, updates the weights, and returns the norm of the gradients."""
        norm = self.accelerator.clip_grad_norm_(network.parameters(), self.train_config.grad_clip_thresh)
        optimizer.step()
        optimizer.zero_grad()
        return norm
