"""Optimizer steps as train.compile selects: uncompiled, with fused kernels, as CUDA graphs, or both."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from models.graphs import CudaRecorder, Step, StepGraphs
from models.training.compiled import compile_training
from utils.errors import UserError


def should_record(wanted: bool | str, accelerator: Accelerator) -> bool:
    """Whether steps are to be CUDA graphs, given train.compile.

    Raises:
        UserError: train.compile is "graphs", and this is not one process on a GPU.
    """
    possible = accelerator.device.type == "cuda" and accelerator.num_processes == 1
    if wanted == "graphs" and not possible:
        raise UserError('train.compile = "graphs" needs one process on a GPU: set it to "auto", "kernels" or false', 2)
    return possible and wanted in ("auto", "graphs", True)


class StepRunner:
    """Runs the steps of a trainer.

    Attributes:
        graphs: records and replays the steps; None: they run without CUDA graphs.
    """

    def __init__(self, wanted: bool | str, accelerator: Accelerator) -> None:
        """Chooses between kernels, CUDA graphs, both and neither.

        Args:
            wanted: train.compile.
            accelerator: accelerator of the trainer.

        Raises:
            UserError: train.compile is "graphs", and this is not one process on a GPU.
        """
        self._fuses = wanted in (True, "kernels")
        self._records = should_record(wanted, accelerator)
        self._rate = torch.zeros((), device=accelerator.device)  # recorded steps read the learning rate here
        self.graphs: StepGraphs | None = None

    def __str__(self) -> str:
        """Returns a description for the log."""
        return (", compiled" if self._fuses else "") + (", CUDA graphs" if self.graphs is not None else "")

    def fuse(self, modules: Iterable[nn.Module], dynamic: bool) -> None:
        """Compiles modules if train.compile asks for it; see `compile_training`."""
        if self._fuses:
            compile_training(modules, dynamic)

    def prepare(self, step: Step, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        """Sets the step to run and its optimizers; called before the first step."""
        self._step, self._optimizers = step, optimizers
        if self._records:
            self.graphs = StepGraphs(step, CudaRecorder(optimizers))

    def __call__(
        self, batches: Sequence[Any], counts: dict[str, Tensor], learning_rate: float, kind: Hashable
    ) -> dict[str, Tensor]:
        """Runs one step.

        Args:
            batches: as in `Trainer.train_step`.
            counts: as in `Trainer.train_step`.
            learning_rate: learning rate of all optimizers.
            kind: whatever the step's kernels depend on, other than the shapes of the batches.

        Returns:
            The step's figures.
        """
        rate = learning_rate if self.graphs is None else self._rate.fill_(learning_rate)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        return self._step(batches, counts) if self.graphs is None else self.graphs(batches, counts, kind)
