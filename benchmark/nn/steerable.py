"""Layers of e2cnn (Weiler & Cesa 2019) between plain tensors, without its traps. Needs the package e2cnn.

e2cnn is used as it is but for three things:

- It keeps the filters of evaluation mode in the state. They go stale when a weight changes, and a state saved before
  the first evaluation loads into an evaluated network with wrong filters. Here filters are made anew in each forward.
- It shares one basis between all networks of a process, so that `.double()` on one changes the others. Here each layer
  has its own.
- Its group pooling rounds double to single precision. Here it is replaced by the plain module that it exports.
"""

from __future__ import annotations

import warnings

from e2cnn import nn as enn
from e2cnn.gspaces import Rot2dOnR2
from torch import Tensor, nn
from torch.nn.functional import conv2d

from benchmark.nn.dropout import Dropout
from benchmark.nn.fields import CyclicField, Field, Invariant, ScalarField, with_field
from benchmark.nn.network import Layers


def scalar_type(order: int, channels: int) -> enn.FieldType:
    """e2cnn's type of `channels` scalar fields under the rotations by 360°/order."""
    space = Rot2dOnR2(order)
    return enn.FieldType(space, channels * [space.trivial_repr])


def regular_type(order: int, channels: int) -> enn.FieldType:
    """e2cnn's type of `channels` regular fields under the rotations by 360°/order."""
    space = Rot2dOnR2(order)
    return enn.FieldType(space, channels * [space.regular_repr])


def field_of(field_type: enn.FieldType) -> Field:
    """How features of that type transform under quarter turns."""
    order = field_type.representations[0].size
    return CyclicField(order) if order > 1 else ScalarField()


class Steerable(nn.Module):
    """An e2cnn module between plain tensors.

    Args:
        module: a module from one e2cnn field type to another.
    """

    def __init__(self, module: enn.EquivariantModule) -> None:
        super().__init__()
        self.module = module
        self.field = field_of(module.out_type)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, channels·order, height, width) -> the same axes."""
        output: Tensor = self.module(enn.GeometricTensor(features, self.module.in_type)).tensor
        return output


class SteerableConv(nn.Module):
    """e2cnn's `R2Conv`, whose filters are made from the weights in each forward and never kept.

    Args:
        in_type: e2cnn's type of the input.
        out_type: e2cnn's type of the output.
        kernel_size: the height and width of the kernel.
        padding: zeros added on every side.
    """

    def __init__(self, in_type: enn.FieldType, out_type: enn.FieldType, kernel_size: int, *, padding: int = 0) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="indexing with dtype torch.uint8", category=UserWarning)
            self.module = enn.R2Conv(in_type, out_type, kernel_size, padding=padding, recompute=True)
        self.module.train()  # drops the kept filters
        self.padding = padding
        self.field = field_of(out_type)
        for module in self.module.modules():
            for name, buffer in list(module.named_buffers(recurse=False)):
                module.register_buffer(name, buffer, persistent=False)  # constants are no part of the state

    def train(self, mode: bool = True) -> SteerableConv:
        """Set the mode of this layer alone: e2cnn's own would keep the filters of the moment."""
        self.training = mode
        return self

    def forward(self, features: Tensor) -> Tensor:
        """(batch, in channels, height, width) -> (batch, out channels, height, width)."""
        filters, bias = self.module.expand_parameters()
        return conv2d(features, filters, bias, padding=self.padding)


def steerable_block(
    number: int,
    in_type: enn.FieldType,
    out_type: enn.FieldType,
    kernel_size: int = 3,
    *,
    padding: int = 1,
    dropout: float | None = None,
) -> Layers:
    """Convolution – batch norm – ReLU, and dropout where a rate is given, named as in `network.conv_block`."""
    layers: Layers = {
        f"conv{number}": SteerableConv(in_type, out_type, kernel_size, padding=padding),
        f"norm{number}": Steerable(enn.InnerBatchNorm(out_type)),
        f"relu{number}": Steerable(enn.ReLU(out_type)),
    }
    if dropout is not None:
        layers[f"dropout{number}"] = with_field(Dropout(dropout), field_of(out_type))
    return layers


def steerable_classifier(field_type: enn.FieldType, classes: int) -> Layers:
    """Global average pooling – maximum over the group – linear, from features of that type to invariant logits."""
    return {
        "mean": with_field(nn.AdaptiveAvgPool2d(1), field_of(field_type)),
        # as exported, for e2cnn's own module rounds double to single precision
        "coset": with_field(enn.GroupPooling(field_type).export().train(), ScalarField()),
        "flatten": with_field(nn.Flatten(), Invariant()),
        "linear": with_field(nn.Linear(len(field_type), classes), Invariant()),
    }
