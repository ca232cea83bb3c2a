"""Layers of e2cnn (Weiler & Cesa 2019) between plain tensors, without its traps. Needs the package e2cnn.

e2cnn is used as it is but for four things:

- It keeps the filters of evaluation mode in the state. They go stale when a weight changes, and a state saved before
  the first evaluation loads into an evaluated network with wrong filters. Here filters are made anew in each forward.
- It shares one basis between all networks of a process, so that `.double()` on one changes the others. Here each layer
  has its own.
- It samples its basis in single precision, in which quarter turns hold to 1e-7 only. Here they hold to the last bit,
  so that an exact network is exact in double precision.
- Its group pooling rounds double to single precision. Here it is replaced by the plain module that it exports.
"""

from __future__ import annotations

import warnings

import torch
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


def _symmetric(basis: Tensor, kernel_size: int) -> Tensor:
    """Basis kernels (basis, out, in, points) made symmetric under quarter turns to the last bit.

    A basis kernel is K = ρ_out(g) K(g⁻¹ ·) ρ_in(g)⁻¹ up to rounding; the mean of the right side over the quarter turns
    is so exactly. It is summed in double precision, where four single-precision numbers add without rounding.
    """
    kernels = basis.double().unflatten(-1, (kernel_size, kernel_size))
    steps = [size // 4 for size in kernels.shape[1:3]]  # of one quarter turn on the axes out and in; 0 where scalar
    turned = [kernels.roll([t * step for step in steps], (1, 2)).rot90(t, (-2, -1)) for t in range(4)]
    mean = torch.stack(turned).mean(0)
    off = float((mean - kernels).abs().max())
    if off > 1e-5:
        raise ArithmeticError(f"a basis kernel of e2cnn is off its own symmetry by {off:.1e}, far above rounding")
    return mean.flatten(-2).to(basis.dtype)


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
                kept = _symmetric(buffer, kernel_size) if name == "sampled_basis" else buffer
                module.register_buffer(name, kept, persistent=False)  # constants are no part of the state

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
        "coset": with_field(enn.GroupPooling(field_type).export(), ScalarField()),
        "flatten": with_field(nn.Flatten(), Invariant()),
        "linear": with_field(nn.Linear(len(field_type), classes), Invariant()),
    }
