"""Weight normalization (Salimans and Kingma, arXiv:1602.07868) of whole modules, and the weights that it amounts to.

A weight-normed tensor is kept as its length g and its direction v, w = g v / ||v|| (eq. 2). The norm runs over all but
the first dimension, for convolutions and transposed convolutions alike: PyTorch's default, with which all published
vocoders were trained.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d)
_G, _V = "parametrizations.weight.original0", "parametrizations.weight.original1"
_LEGACY_G, _LEGACY_V = "weight_g", "weight_v"  # of torch.nn.utils.weight_norm
# torch.nn.utils.spectral_norm's names -> those of its parametrization
_SPECTRAL = {
    "weight_orig": "parametrizations.weight.original",
    "weight_u": "parametrizations.weight.0._u",
    "weight_v": "parametrizations.weight.0._v",
}


def add_weight_norm(module: nn.Module) -> None:
    """Weight-normalizes every convolution inside a module, in place; what it computes stays the same.

    Raises:
        ValueError: a convolution is parametrized already.
    """
    for name, conv in list(module.named_modules()):
        if isinstance(conv, CONVOLUTIONS):
            if parametrize.is_parametrized(conv):
                raise ValueError(f"{name or 'the module'} is parametrized already")
            weight = conv.weight.detach().clone()
            weight_norm(conv)
            _set_weight(conv, weight)


def load_fused(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Makes a weight-normed module compute what the same module without weight norm computes with this state.

    Args:
        module: after add_weight_norm.
        state: fused weights by name (`conv_pre.weight`), as fused_state_dict gives them.

    Raises:
        ValueError: a tensor is missing, unexpected or misshapen; all are named, and nothing was changed.
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
    module.load_state_dict(rest, strict=False)  # complete, as compared above


def fused_state_dict(module: nn.Module) -> dict[str, Tensor]:
    """The state that gives the same module without weight norm: `conv_pre.weight` in place of g and v.

    Args:
        module: after add_weight_norm.

    Returns:
        copies, on the module's device.
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
    """Replaces each pair g, v in the state of a file by the weight, computed in float64.

    Args:
        state: in today's names or those of torch.nn.utils.weight_norm.

    Returns:
        float32 weights, everything else as it was; a g or v without a fitting partner stays, as an extra key.
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
    """Renames the halves of weight-normed and spectral-normed tensors from torch.nn.utils' names to the current ones.

    With it the discriminators of a published HiFi-GAN load: {"mpd": ..., "msd": ...} of a `do_*` file, as
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
    """The convolutions that add_weight_norm has changed, by name."""
    for name, conv in module.named_modules():
        if isinstance(conv, CONVOLUTIONS) and parametrize.is_parametrized(conv, "weight"):
            yield name, conv


def _set_weight(conv: Any, weight: Tensor) -> None:
    """Sets g and v; a filter that is all zeros, which has no direction, gets some direction of length 0."""
    parts = conv.parametrizations["weight"]
    with torch.no_grad():
        norm = weight.flatten(1).norm(dim=1).reshape(-1, *[1] * (weight.dim() - 1))
        parts.original0.copy_(norm)
        parts.original1.copy_(torch.where(norm > 0, weight, 1.0))
