"""Layers of e2cnn (Weiler & Cesa 2019) that take and give plain tensors. Needs the package e2cnn.

e2cnn is used as it is but for four things:

- It keeps the filters of evaluation mode in the state. They go stale when a weight changes, and a state saved before
  the first evaluation loads into an evaluated network with wrong filters. Here filters are made anew in each forward.
- It shares one basis between all networks of a process, so that `.double()` on one changes the others. Here each layer
  has its own.
- Its group pooling rounds double to single precision. Here it is replaced by the plain module that it exports.
- It works out the deviation of each first weight by a loop over all of them. Here it is that of one pair of fields.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from e2cnn import nn as enn
from e2cnn.gspaces import Rot2dOnR2
from torch import Tensor, nn
from torch.nn.functional import conv2d

from gcnnbench.nn.dropout import Dropout
from gcnnbench.nn.fields import CyclicField, Field, Invariant, ScalarField, with_field
from gcnnbench.nn.layers import Layers


@contextmanager
def without_its_warnings() -> Iterator[None]:
    """Leave out what torch, numpy and scipy warn of in e2cnn's own code, which nobody here can mend."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"e2cnn\.")
        # Under a default device torch warns of the same line of e2cnn in its own name.
        warnings.filterwarnings("ignore", message="indexing with dtype torch.uint8", category=UserWarning)
        yield


@without_its_warnings()
def scalar_type(order: int, channels: int) -> enn.FieldType:
    """e2cnn's type of `channels` scalar fields under the rotations by 360°/order."""
    space = Rot2dOnR2(order)
    return enn.FieldType(space, channels * [space.trivial_repr])


@without_its_warnings()
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
        module: an `EquivariantModule` of e2cnn, whose classes say nothing of the types of their attributes.
    """

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module: Any = module
        self.field = field_of(module.out_type)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, channels·order, height, width) -> the same axes."""
        output: Tensor = self.module(enn.GeometricTensor(features, self.module.in_type)).tensor
        return output


def he_deviations(in_type: enn.FieldType, pair: enn.R2Conv) -> Tensor:
    """The standard deviations of e2cnn's generalised He initialisation for the weights between two fields.

    `σ = 1/√(n_in · n_basis)`, where n_in counts the kinds of irreducible inputs of a weight's irreducible output and
    n_basis the weights from all inputs of its own kind. Source: `generalized_he_init` of e2cnn, which asks each weight.

    Args:
        in_type: the type of the whole input, fields of one representation.
        pair: the convolution from one such field to one field of the output.

    Returns:
        (weights of the pair,).
    """
    ends = [(basis["in_irrep"], basis["out_irreps_position"]) for basis in pair.basisexpansion.get_basis_info()]
    weights = Counter(ends)
    kinds = Counter(position for _, position in weights)
    return torch.tensor([(kinds[end[1]] * weights[end] * len(in_type)) ** -0.5 for end in ends])


class SteerableConv(nn.Module):
    """e2cnn's `R2Conv`, whose filters are made from the weights in each forward and never kept.

    Args:
        in_type: e2cnn's type of the input, fields of one representation.
        out_type: e2cnn's type of the output, likewise.
        kernel_size: the height and width of the kernel.
        stride: the step of the grid.
        padding: zeros added on every side.
        bias: whether each output field has one.
        cutoff: the highest frequency of the filters at a radius, e2cnn's own where None.
    """

    def __init__(
        self,
        in_type: enn.FieldType,
        out_type: enn.FieldType,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        cutoff: Callable[[float], float] | None = None,
    ) -> None:
        super().__init__()

        def made(source: enn.FieldType, target: enn.FieldType) -> enn.R2Conv:
            geometry = {"stride": stride, "padding": padding, "bias": bias, "frequencies_cutoff": cutoff}
            return enn.R2Conv(source, target, kernel_size, **geometry, recompute=True, initialize=False)

        with without_its_warnings():
            self.module = made(in_type, out_type)
            pair = made(in_type.index_select([0]), out_type.index_select([0]))
        with torch.no_grad():
            by_pair = he_deviations(in_type, pair).repeat(len(in_type) * len(out_type))
            self.module.weights.copy_(by_pair * torch.randn_like(self.module.weights))
        self.module.train()  # drops the kept filters
        self.stride, self.padding = stride, padding
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
        return conv2d(features, filters, bias, stride=self.stride, padding=self.padding)


@without_its_warnings()
def steerable_block(
    number: int,
    in_type: enn.FieldType,
    out_type: enn.FieldType,
    kernel_size: int = 3,
    *,
    padding: int = 1,
    dropout: float | None = None,
) -> Layers:
    """Convolution – batch norm – ReLU, and dropout where a rate is given, named as by `sequence.conv_block`."""
    layers: Layers = {
        f"conv{number}": SteerableConv(in_type, out_type, kernel_size, padding=padding),
        f"norm{number}": Steerable(enn.InnerBatchNorm(out_type)),
        f"relu{number}": Steerable(enn.ReLU(out_type)),
    }
    if dropout is not None:
        layers[f"dropout{number}"] = with_field(Dropout(dropout), field_of(out_type))
    return layers


@without_its_warnings()
def steerable_classifier(field_type: enn.FieldType, classes: int) -> Layers:
    """Global average pooling – maximum over the group – linear, from features of that type to invariant logits."""
    coset = enn.GroupPooling(field_type).export()
    coset.train()
    return {
        "mean": with_field(nn.AdaptiveAvgPool2d(1), field_of(field_type)),
        # as exported, for e2cnn's own module rounds double to single precision
        "coset": with_field(coset, ScalarField()),
        "flatten": with_field(nn.Flatten(), Invariant()),
        "linear": with_field(nn.Linear(len(field_type), classes), Invariant()),
    }
