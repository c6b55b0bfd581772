"""Kernels that torch.compile has fused, for training alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from utils.errors import UserError


def compile_training(modules: Iterable[nn.Module], dynamic: bool) -> None:
    """From now on these modules run compiled in training mode, and as they are written in evaluation.

    Evaluation runs too seldom, on too many shapes, to be worth the compiler's time. Modules of one class share what was
    compiled. What the compiler makes of dropout draws other numbers than the module as it is written. Where
    torch.compile cannot work on this machine, the first call of a module raises UserError.

    Args:
        modules: to change, in place; their parameters and names stay as they are.
        dynamic: sizes vary from call to call.
    """
    for module in modules:
        module.forward = _choose(module, module.forward, torch.compile(module.forward, dynamic=dynamic))


def _choose(module: nn.Module, written: Callable[..., Any], compiled: Callable[..., Any]) -> Callable[..., Any]:
    def forward(*arguments: Any, **keywords: Any) -> Any:
        if not module.training:
            return written(*arguments, **keywords)
        try:
            return compiled(*arguments, **keywords)
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"train.compile: torch.compile does not work here ({reason}). It needs a C++ compiler, and Triton on a "
                'GPU: install them, or set train.compile to false or "graphs".'
            ) from error

    return forward
