"""Kernels fused by torch.compile, for training only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from utils.errors import UserError


def compile_training(modules: Iterable[nn.Module], dynamic: bool) -> None:
    """Makes modules run compiled in training mode; in evaluation mode they run uncompiled.

    Evaluation is too rare, and has too many shapes, to be worth the compiler's time. Modules of one class share the
    compiled code. Compiled dropout draws other random numbers than the uncompiled module. If torch.compile does not
    work on this machine, the first call of a module raises UserError.

    Args:
        modules: modules to change in place; their parameters and names stay the same.
        dynamic: whether sizes vary from call to call.
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
