"""How the suite's networks are put together: named layers, each marked with its field, and the depths to measure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping

from torch import nn

from gcnnbench.errors import UserError
from gcnnbench.nn.activation import ReLU
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.dropout import Dropout
from gcnnbench.nn.fields import Invariant, feature_field, with_field
from gcnnbench.nn.groups import Group
from gcnnbench.nn.layers import Layers
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.nn.pooling import CosetPool


class Network(nn.Sequential):
    """Named layers, one after another.

    Args:
        layers: the layers by name, in order.
        depths: the names of the layers whose equivariance error a record keeps.

    Raises:
        UserError: a depth names no layer.
    """

    def __init__(self, layers: Mapping[str, nn.Module], depths: tuple[str, ...] = ()) -> None:
        super().__init__(OrderedDict(layers))
        unknown = [depth for depth in depths if depth not in layers]
        if unknown:
            raise UserError(f"depth {unknown[0]!r} names no layer: one of {', '.join(layers)}")
        self.depths = depths


def conv_block(
    number: int,
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    *,
    group: Group,
    in_group: Group | None = None,
    padding: int = 1,
    dropout: float | None = None,
    conv: Callable[..., nn.Module] = GroupConv,
) -> Layers:
    """Convolution – batch norm – ReLU, and dropout where a rate is given, named `conv1`, `norm1`, `relu1`, `dropout1`.

    Args:
        number: what the names end in.
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: the height and width of the kernel.
        group: the group of the output.
        in_group: the group of the input, `group` itself where None.
        padding: zeros added on every side.
        dropout: the probability of a zero, no dropout where None.
        conv: makes the convolution from what `GroupConv` takes.
    """
    field = feature_field(group)
    layers: Layers = {
        f"conv{number}": conv(in_channels, out_channels, kernel_size, group=group, in_group=in_group, padding=padding),
        f"norm{number}": GroupBatchNorm(out_channels, group=group),
        f"relu{number}": with_field(ReLU(), field),
    }
    if dropout is not None:
        layers[f"dropout{number}"] = with_field(Dropout(dropout), field)
    return layers


def max_pool(kernel_size: int, *, group: Group, ceil_mode: bool = False) -> nn.Module:
    """Max-pooling over windows of pixels that do not overlap, without padding; rounded up where `ceil_mode` is set."""
    return with_field(nn.MaxPool2d(kernel_size, ceil_mode=ceil_mode), feature_field(group))


def classifier(channels: int, classes: int, *, group: Group) -> Layers:
    """Global average pooling – coset maximum – linear: from (batch, channels·group, height, width) to invariant logits.

    Args:
        channels: channels of the features.
        classes: the number of logits.
        group: the group of the features.
    """
    return {
        "mean": with_field(nn.AdaptiveAvgPool2d(1), feature_field(group)),
        "coset": CosetPool(group),
        "flatten": with_field(nn.Flatten(), Invariant()),
        "linear": with_field(nn.Linear(channels, classes), Invariant()),
    }


def require_size(size: int, smallest: int) -> None:
    """Refuse an input that some layer would shrink to nothing.

    Raises:
        UserError: `size` is below `smallest`.
    """
    if size < smallest:
        raise UserError(f"size (={size}) must be at least {smallest}: below it a layer's output has no pixel left")


def require_halvings(size: int, times: int) -> None:
    """Refuse an input that cannot be halved (and rounded up) so many times before one pixel is left.

    Raises:
        UserError: `size` is too small.
    """
    smallest = 2 ** (times - 1) + 1 if times else 1
    if size < smallest:
        raise UserError(f"size (={size}) must be at least {smallest}: below it a stride of 2 meets a single pixel")
