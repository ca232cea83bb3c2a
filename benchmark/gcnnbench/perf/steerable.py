"""The same networks made of e2cnn's or escnn's own layers, used as their documentation shows.

In evaluation mode both keep their expanded filters, which is their fastest way; the suite's own wrappers do not.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from torch import Tensor, nn

from gcnnbench.architectures.residual import Residual
from gcnnbench.errors import UserError
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.groups import Group


def network(library: str, slug: str, like: nn.Module, classes: int) -> nn.Module:
    """A network of that library with the layers and widths of one of the suite's.

    Args:
        library: `e2cnn` or `escnn`.
        slug: which network.
        like: the suite's network, whose layers are copied one by one.
        classes: the number of logits.

    Raises:
        UserError: the library is not installed, or does not work for the group.
    """
    try:
        spaces, layers = import_module(f"{library}.gspaces"), import_module(f"{library}.nn")
    except ImportError as error:
        raise UserError(f"not installed ({error})") from None
    group = next(module.group for module in like.modules() if isinstance(module, GroupConv))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Steered(Kit(library, spaces, layers, group), like, classes)
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(f"fails for {slug}: {error}") from None


class Kit:
    """The layers of one library for one group.

    Args:
        library: its name.
        spaces: its module of group actions.
        layers: its module of layers.
        group: p4 or p4m.
    """

    def __init__(self, library: str, spaces: Any, layers: Any, group: Group) -> None:
        mirrors = group.name == "p4m"
        names = {"e2cnn": ("Rot2dOnR2", "FlipRot2dOnR2"), "escnn": ("rot2dOnR2", "flipRot2dOnR2")}[library]
        self.space, self.layers = getattr(spaces, names[mirrors])(4), layers

    def images(self, channels: int) -> Any:
        """The type of that many scalar fields."""
        return self.layers.FieldType(self.space, channels * [self.space.trivial_repr])

    def features(self, channels: int) -> Any:
        """The type of that many regular fields."""
        return self.layers.FieldType(self.space, channels * [self.space.regular_repr])

    def conv(self, given: Any, conv: GroupConv) -> Any:
        """A convolution like that one, from features of a type."""
        out = self.features(conv.out_channels)
        bias = conv.bias is not None
        return self.layers.R2Conv(
            given, out, conv.kernel_size, padding=conv.padding, stride=conv.stride, bias=bias, initialize=True
        )

    def like(self, module: nn.Module, given: Any) -> Any:
        """This library's layer for one of the suite's, from features of a type; none where nothing is left to do."""
        if isinstance(module, GroupConv):
            return self.conv(given, module)
        if isinstance(module, Residual):
            return SteeredResidual(self, module, given)
        if isinstance(module, nn.Sequential):
            return SteeredSequence(self, list(module), given)
        if isinstance(module, nn.ReLU):
            return self.layers.ReLU(given, inplace=True)  # as its examples have it
        if isinstance(module, nn.MaxPool2d):
            return self.layers.PointwiseMaxPool(given, kernel_size=module.kernel_size, stride=module.stride)
        return None if isinstance(module, nn.Identity) else self.layers.InnerBatchNorm(given)


class SteeredSequence(nn.Module):
    """Layers one after another, as many as the library has a counterpart for."""

    def __init__(self, kit: Kit, modules: Sequence[nn.Module], given: Any) -> None:
        super().__init__()
        self.out_type = given
        made = []
        for module in modules:
            layer = kit.like(module, self.out_type)
            if layer is not None:
                made.append(layer)
                self.out_type = layer.out_type
        self.layers = nn.ModuleList(made)

    def forward(self, features: Any) -> Any:
        """From the library's tensors to the library's tensors."""
        for layer in self.layers:
            features = layer(features)
        return features


class SteeredResidual(nn.Module):
    """A branch and a shortcut, added."""

    def __init__(self, kit: Kit, like: Residual, given: Any) -> None:
        super().__init__()
        self.branch = kit.like(like.branch, given)
        self.shortcut = kit.like(like.shortcut, given) or nn.Identity()
        self.out_type = self.branch.out_type if self.branch is not None else given

    def forward(self, features: Any) -> Any:
        """From the library's tensors to the library's tensors."""
        return (self.branch(features) if self.branch is not None else features) + self.shortcut(features)


class Steered(nn.Module):
    """The whole network: the library's layers up to the pooling, and the same plain head for all."""

    def __init__(self, kit: Kit, like: nn.Module, classes: int) -> None:
        super().__init__()
        modules = dict(like.named_children())
        body = [module for name, module in modules.items() if name not in ("mean", "coset", "flatten", "linear")]
        stem = next(module for module in like.modules() if isinstance(module, GroupConv))
        self.layers, self.order = kit.layers, len(stem.group)
        self.in_type = kit.images(stem.in_channels)
        self.body = SteeredSequence(kit, body, self.in_type)
        self.linear = nn.Linear(len(self.body.out_type), classes)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, size, size) -> logits (batch, classes)."""
        features = self.body(self.layers.GeometricTensor(images, self.in_type)).tensor
        by_group: Tensor = features.mean((2, 3)).unflatten(1, (-1, self.order))
        logits: Tensor = self.linear(by_group.amax(2))
        return logits
