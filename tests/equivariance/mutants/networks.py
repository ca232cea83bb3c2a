"""The networks that are mutated: a few layers each, exact under p4m or p4 at every size before anything is changed.

Each is a sequence of named layers; a mutant puts another layer in the place of one. `first` (the images), `middle` and
`last` (features) hold nothing, and are there to be filled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.fields import Invariant, RegularField, with_field
from gcnnbench.nn.groups import P4, P4M, TRIVIAL, Group
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.nn.pooling import CosetPool
from tests.equivariance.mutants.mutant import ALL, TURNS, Moves
from tests.equivariance.symmetric import isotropic

Layers = dict[str, nn.Module]
PLANES = 8


class Function(nn.Module):
    """A function of the features, without weights."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, features: Tensor) -> Tensor:
        return self.function(features)


class Residual(nn.Module):
    """The features and what a body makes of them, added."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(features + self.body(features))


class Squeeze(nn.Module):
    """Squeeze and excitation (Hu et al. 2018): channels scaled by what their means say."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(channels, 4), nn.ReLU(), nn.Linear(4, channels), nn.Sigmoid())

    def forward(self, features: Tensor) -> Tensor:
        gates: Tensor = self.gate(features.mean((-2, -1)))
        return features * gates[..., None, None]


def conv(channels: int, out: int, kernel: int = 3, **options: Any) -> nn.Module:
    """An ordinary convolution with isotropic filters that keeps the size."""
    return isotropic(nn.Conv2d(channels, out, kernel, **{"padding": kernel // 2, **options}))


def head() -> Layers:
    return {"last": nn.Identity(), "pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}


def plain() -> Layers:
    """Convolutions one behind another, as VGG."""
    return {
        "first": nn.Identity(),
        "stem": conv(3, PLANES),
        "norm": nn.BatchNorm2d(PLANES),
        "relu": nn.ReLU(),
        "middle": nn.Identity(),
        "body": conv(PLANES, PLANES),
        "relu2": nn.ReLU(),
        **head(),
        "linear": nn.Linear(PLANES, 5),
    }


def residual() -> Layers:
    """Two residual blocks with batch norms, as ResNet."""

    def block() -> nn.Module:
        return Residual(conv(PLANES, PLANES), nn.BatchNorm2d(PLANES), nn.ReLU(), conv(PLANES, PLANES))

    stem = nn.Sequential(conv(3, PLANES, bias=False), nn.BatchNorm2d(PLANES), nn.ReLU())
    layers = {"first": nn.Identity(), "stem": stem, "block": block(), "middle": nn.Identity(), "block2": block()}
    return {**layers, **head(), "linear": nn.Linear(PLANES, 5)}


def mobile() -> Layers:
    """Depthwise convolutions, squeeze and excitation, hard swish, as MobileNetV3."""

    def block() -> nn.Module:
        wide = 2 * PLANES
        depthwise = conv(wide, wide, 5, groups=wide)
        enter, leave = nn.Conv2d(PLANES, wide, 1), nn.Conv2d(wide, PLANES, 1)
        return Residual(enter, nn.Hardswish(), depthwise, Squeeze(wide), leave, nn.BatchNorm2d(PLANES))

    stem = nn.Sequential(conv(3, PLANES), nn.Hardswish())
    layers = {"first": nn.Identity(), "stem": stem, "block": block(), "middle": nn.Identity(), "block2": block()}
    return {**layers, "act": nn.Hardswish(), **head(), "linear": nn.Linear(PLANES, 5)}


def grouped(group: Group) -> Layers:
    """The suite's own layers: lifting, group convolution, norms, coset pooling."""
    field, planes = RegularField(group), PLANES // 2 if group == P4 else 2
    return {
        "first": nn.Identity(),
        "lift": GroupConv(3, planes, 3, group=group, in_group=TRIVIAL, padding=1),
        "norm": GroupBatchNorm(planes, group=group),
        "relu": with_field(nn.ReLU(), field),
        "middle": nn.Identity(),
        "conv": GroupConv(planes, planes, 3, group=group, padding=1),
        "relu2": with_field(nn.ReLU(), field),
        "last": nn.Identity(),
        "pool": with_field(nn.AdaptiveAvgPool2d(1), field),
        "coset": CosetPool(group),
        "flatten": with_field(nn.Flatten(), Invariant()),
        "linear": with_field(nn.Linear(planes, 5), Invariant()),
    }


@dataclass(frozen=True)
class Base:
    """A network to be mutated; `channels` are those of `middle` and `last`."""

    name: str
    layers: Callable[[], Layers]
    moves: Moves
    group: Group
    channels: int
    fields: Group = TRIVIAL

    def changed(self, changes: Callable[[], Layers]) -> nn.Sequential:
        """The network with other layers in the place of some."""
        layers, made = self.layers(), changes()
        if not set(made) <= set(layers):
            raise ValueError(f"{self.name} has no {', '.join(set(made) - set(layers))}")
        network = nn.Sequential()
        for name, layer in (layers | made).items():
            network.add_module(name, layer)
        return network


SCALAR = (
    Base("plain", plain, ALL, P4M, PLANES),
    Base("residual", residual, ALL, P4M, PLANES),
    Base("mobile", mobile, ALL, P4M, PLANES),
)
REGULAR = (
    Base("p4", lambda: grouped(P4), TURNS, P4, 2 * PLANES, P4),
    Base("p4m", lambda: grouped(P4M), ALL, P4M, 2 * PLANES, P4M),
)
ANY = (SCALAR[0], REGULAR[0], SCALAR[1], REGULAR[1], SCALAR[2])
