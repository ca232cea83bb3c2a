"""The window of a convolution or pool – kernel, stride, padding – and the same layer with another one."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.fields import Field, RegularField
from gcnnbench.nn.groups import TRIVIAL
from gcnnbench.nn.polyphase import AdaptivePolyphaseSampling
from gcnnbench.nn.subsampling import EquivariantMaxPool, EquivariantSubsample
from gcnnbench.rewriting.classes import computes_as

KINDS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
USUAL: dict[str, tuple[object, ...]] = {
    "dilation": (1, (1, 1)),
    "count_include_pad": (True,),
    "divisor_override": (None,),
    "return_indices": (False,),
}
"""Settings that `with_window` does not carry over, each with what it is where nobody has set it."""


def even(layer: nn.Module) -> tuple[nn.Module, str] | None:
    """The layer with a kernel that is larger by one, which lies symmetrically over sizes of the other parity."""
    window = window_of(layer)
    if window is None or window[1] < 2:
        return None
    kernel, stride, padding = window
    return with_window(layer, kernel + 1, stride, padding), _written(layer, kernel + 1, stride, padding)


def equivariantly_subsampled(layer: nn.Module, *, shifts: bool = False) -> tuple[nn.Module, str] | None:
    """The layer with stride one, and sub-sampling by two behind it on a grid that moves with the features.

    Args:
        layer: one with stride two.
        shifts: whether the grid is to move with circular shifts.
    """
    window = window_of(layer)
    if window is None or window[1] != 2:
        return None
    kernel, _, padding = window
    known = getattr(layer, "field", None)
    own = known.group if isinstance(known, RegularField) else TRIVIAL
    if kernel == 2 and not padding and isinstance(layer, nn.MaxPool2d) and not shifts:
        return EquivariantMaxPool(own), f"EquivariantMaxPool({own.name.upper()})"
    dense = with_window(layer, kernel, 1, padding)
    behind = AdaptivePolyphaseSampling(own) if shifts else EquivariantSubsample(own)
    code = f"nn.Sequential({_written(layer, kernel, 1, padding)}, {type(behind).__name__}({own.name.upper()}))"
    return nn.Sequential(dense, behind), code


def window_of(layer: nn.Module) -> tuple[int, int, int] | None:
    """(kernel, stride, padding) of a layer that is a square convolution or pool and nothing more, else None."""
    plain = computes_as(layer, GroupConv, "bank") or any(computes_as(layer, kind) for kind in KINDS)
    if not plain or any(getattr(layer, name, usual[0]) not in usual for name, usual in USUAL.items()):
        return None
    numbers = []
    for setting in (getattr(layer, name) for name in ("kernel_size", "stride", "padding")):
        pair = setting if isinstance(setting, tuple) else (setting, setting)
        if len(set(pair)) != 1 or not isinstance(pair[0], int):
            return None
        numbers.append(pair[0])
    kernel, stride, padding = numbers
    return kernel, stride, padding


def with_window(layer: Any, kernel: int, stride: int, padding: int) -> nn.Module:
    """A layer of the same kind with another window; its weights are new, and constrained as the old ones are."""
    made: nn.Module
    if isinstance(layer, (nn.MaxPool2d, nn.AvgPool2d)):
        made = type(layer)(kernel, stride, padding, ceil_mode=layer.ceil_mode)
    else:
        settings: dict[str, Any] = {"stride": stride, "padding": padding, "groups": layer.groups}
        if isinstance(layer, GroupConv):
            groups: dict[str, Any] = {"group": layer.group, "in_group": layer.in_group}
            made = GroupConv(
                layer.in_channels, layer.out_channels, kernel, bias=layer.bias is not None, **settings, **groups
            )
        else:
            settings |= {"bias": layer.bias is not None, "padding_mode": layer.padding_mode}
            made = nn.Conv2d(layer.in_channels, layer.out_channels, kernel, **settings)
        if parametrize.is_parametrized(layer, "weight"):
            for constraint in layer.get_submodule("parametrizations.weight").children():
                parametrize.register_parametrization(made, "weight", constraint)
    known = getattr(layer, "field", None)
    if isinstance(known, Field) and not hasattr(made, "field"):
        vars(made)["field"] = known
    place = next((tensor for tensor in layer.parameters()), None)
    return made if place is None else made.to(place.device, place.dtype)


def _written(layer: Any, kernel: int, stride: int, padding: int) -> str:
    kind = "GroupConv" if isinstance(layer, GroupConv) else "nn.Conv2d" if isinstance(layer, nn.Conv2d) else None
    kind = kind or ("nn.MaxPool2d" if isinstance(layer, nn.MaxPool2d) else "nn.AvgPool2d")
    channels = f"{layer.in_channels}, {layer.out_channels}, " if hasattr(layer, "in_channels") else ""
    mode = getattr(layer, "padding_mode", "zeros")
    wraps = "" if mode == "zeros" else f", padding_mode={mode!r}"
    return f"{kind}({channels}{kernel}, stride={stride}, padding={padding}{wraps})"
