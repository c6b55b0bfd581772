"""Weight normalization (Salimans and Kingma, arXiv:1602.07868) of whole modules, and its conversion to plain weights.

A weight-normed tensor is stored as its length g and its direction v, w = g v / ||v|| (eq. 2). The norm runs over all
but the first dimension, for convolutions and transposed convolutions alike: PyTorch's default, with which all
published vocoders were trained.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d)
_G, _V = "parametrizations.weight.original0", "parametrizations.weight.original1"
_LEGACY_G, _LEGACY_V = "weight_g", "weight_v"  # names in torch.nn.utils.weight_norm
# torch.nn.utils.spectral_norm's names -> those of its parametrization
_SPECTRAL = {
    "weight_orig": "parametrizations.weight.original",
    "weight_u": "parametrizations.weight.0._u",
    "weight_v": "parametrizations.weight.0._v",
}


def add_weight_norm(module: nn.Module) -> None:
    """Weight-normalizes every convolution inside a module, in place; its output does not change.

    Raises:
        ValueError: a convolution is already parametrized.
    """
    for name, conv in list(module.named_modules()):
        if isinstance(conv, CONVOLUTIONS):
            if parametrize.is_parametrized(conv):
                raise ValueError(f"{name or 'the module'} is already parametrized")
            weight = conv.weight.detach().clone()
            weight_norm(conv)
            _set_weight(conv, weight)


def load_fused(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Loads the state of the same module without weight norm into a weight-normed module.

    Args:
        module: a module after add_weight_norm.
        state: fused weights by name (`conv_pre.weight`), as returned by fused_state_dict.

    Raises:
        ValueError: tensors are missing, unexpected or misshapen; the message names all, and nothing was changed.
    """
    expected = {key: value.shape for key, value in fused_state_dict(module).items()}
    faults = [f"missing {key}" for key in expected.keys() - state.keys()]
    faults += [f"unexpected {key}" for key in state.keys() - expected.keys()]
    faults += [
        f"{key} has shape {list(state[key].shape)}, expected {list(shape)}"
        for key, shape in expected.items()
        if key in state and state[key].shape != shape
    ]
    if faults:
        raise ValueError("; ".join(sorted(faults)))
    rest = dict(state)
    for name, conv in _normed(module):
        _set_weight(conv, rest.pop(f"{name}.weight".removeprefix(".")))
    module.load_state_dict(rest, strict=False)  # complete: checked above


def fused_state_dict(module: nn.Module) -> dict[str, Tensor]:
    """Returns the state of the same module without weight norm: `conv_pre.weight` instead of g and v.

    Args:
        module: a module after add_weight_norm.

    Returns:
        Copies, on the module's device.
    """
    fused: dict[str, Tensor] = {}
    weights = {f"{name}.{_G}".removeprefix("."): conv for name, conv in _normed(module)}
    with torch.no_grad():
        for key, value in module.state_dict().items():
            if key in weights:
                fused[key.removesuffix(_G) + "weight"] = weights[key].weight.clone()
            elif not key.endswith(_V):
                fused[key] = value.clone()
    return fused


def fold_weight_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Replaces each pair g, v in a state by the weight, computed in float64.

    Args:
        state: with the current names or those of torch.nn.utils.weight_norm.

    Returns:
        float32 weights, and everything else unchanged; a g or v without a matching partner remains as an extra key.
    """
    folded = dict(state)
    for g_name, v_name in ((_LEGACY_G, _LEGACY_V), (_G, _V)):
        for key in [key for key in folded if f".{key}".endswith("." + g_name)]:
            stem = key.removesuffix(g_name)
            if stem + v_name in folded and folded[key].numel() == len(folded[stem + v_name]):
                g, v = folded.pop(key).double(), folded.pop(stem + v_name).double()
                norm = v.flatten(1).norm(dim=1).reshape(-1, *[1] * (v.dim() - 1))
                folded[stem + "weight"] = (g.reshape(norm.shape) * v / norm).float()
    return folded


def current_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames the parts of weight-normed and spectral-normed tensors from torch.nn.utils's names to the current ones.

    The discriminators of a published HiFi-GAN need it: {"mpd": ..., "msd": ...} of a `do_*` file, as
    `mpd.discriminators...` and `msd.discriminators...`.
    """
    renamed = {}
    for key, value in state.items():
        stem, _, last = key.rpartition(".")
        if f"{stem}.weight_orig".removeprefix(".") in state and last in _SPECTRAL:
            last = _SPECTRAL[last]
        elif last in (_LEGACY_G, _LEGACY_V):
            last = _G if last == _LEGACY_G else _V
        renamed[f"{stem}.{last}".removeprefix(".")] = value
    return renamed


def _normed(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yields the weight-normed convolutions by name."""
    for name, conv in module.named_modules():
        if isinstance(conv, CONVOLUTIONS) and parametrize.is_parametrized(conv, "weight"):
            yield name, conv


def _set_weight(conv: Any, weight: Tensor) -> None:
    """Sets g and v; an all-zero filter has no direction: it gets g = 0 and an arbitrary v."""
    parts = conv.parametrizations["weight"]
    with torch.no_grad():
        norm = weight.flatten(1).norm(dim=1).reshape(-1, *[1] * (weight.dim() - 1))
        parts.original0.copy_(norm)
        parts.original1.copy_(torch.where(norm > 0, weight, 1.0))
