"""The window of a convolution or pool – kernel, stride, padding – and the same layer with another one."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.fields import Field, RegularField
from gcnnbench.nn.groups import TRIVIAL
from gcnnbench.nn.subsampling import EquivariantMaxPool, EquivariantSubsample


def even(layer: nn.Module) -> tuple[nn.Module, str] | None:
    """The layer with a kernel that is larger by one, which lies symmetrically over sizes of the other parity."""
    window = window_of(layer)
    if window is None or window[1] < 2:
        return None
    kernel, stride, padding = window
    return with_window(layer, kernel + 1, stride, padding), _written(layer, kernel + 1, stride, padding)


def equivariantly_subsampled(layer: nn.Module) -> tuple[nn.Module, str] | None:
    """The layer with stride one, and sub-sampling by two behind it on a grid that moves with the features."""
    window = window_of(layer)
    if window is None or window[1] != 2:
        return None
    kernel, _, padding = window
    known = getattr(layer, "field", None)
    own = known.group if isinstance(known, RegularField) else TRIVIAL
    if kernel == 2 and not padding and isinstance(layer, nn.MaxPool2d):
        return EquivariantMaxPool(own), f"EquivariantMaxPool({own.name.upper()})"
    dense = with_window(layer, kernel, 1, padding)
    code = f"nn.Sequential({_written(layer, kernel, 1, padding)}, EquivariantSubsample({own.name.upper()}))"
    return nn.Sequential(dense, EquivariantSubsample(own)), code


def window_of(layer: nn.Module) -> Any:
    """(kernel, stride, padding) of a square convolution or pool without dilation, else None."""
    if not isinstance(layer, (nn.Conv2d, GroupConv, nn.MaxPool2d, nn.AvgPool2d)):
        return None
    settings = [getattr(layer, name) for name in ("kernel_size", "stride", "padding")]
    numbers = []
    for setting in settings:
        pair = setting if isinstance(setting, tuple) else (setting, setting)
        if len(set(pair)) != 1 or not isinstance(pair[0], int):
            return None
        numbers.append(pair[0])
    dilation = getattr(layer, "dilation", 1)
    return tuple(numbers) if dilation in (1, (1, 1)) else None


def with_window(layer: Any, kernel: int, stride: int, padding: int) -> nn.Module:
    """A layer of the same kind with another window; its weights are new, and constrained as the old ones are."""
    made: nn.Module
    if isinstance(layer, (nn.MaxPool2d, nn.AvgPool2d)):
        made = type(layer)(kernel, stride, padding, ceil_mode=layer.ceil_mode)
    else:
        settings = {"stride": stride, "padding": padding, "groups": layer.groups}
        if isinstance(layer, GroupConv):
            groups: dict[str, Any] = {"group": layer.group, "in_group": layer.in_group}
            made = GroupConv(
                layer.in_channels, layer.out_channels, kernel, bias=layer.bias is not None, **settings, **groups
            )
        else:
            made = nn.Conv2d(layer.in_channels, layer.out_channels, kernel, bias=layer.bias is not None, **settings)
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
    return f"{kind}({channels}{kernel}, stride={stride}, padding={padding})"
