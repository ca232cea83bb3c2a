"""What is known of a layer is known of its own code, under the group that its filters have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from e2cnn import nn as enn
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from gcnnbench.equivariance.audit import audit
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.fields import CyclicField
from gcnnbench.nn.groups import P2, P4, P4M, TRIVIAL, Group
from gcnnbench.nn.pooling import CosetPool
from gcnnbench.nn.steerable import (
    Steerable,
    SteerableConv,
    regular_type,
    scalar_type,
    steerable_classifier,
    without_its_warnings,
)
from tests.equivariance.audited import seeded


def by_channel(features: Tensor) -> Tensor:
    return features * torch.arange(1.0, 1 + features.shape[1]).to(features)[:, None, None]


class ByChannel(enn.EquivariantModule):  # type: ignore[misc]
    """Somebody's module that says it is equivariant, and is not: it multiplies each channel by a number of its own."""

    def __init__(self, field_type: Any) -> None:
        super().__init__()
        self.in_type = self.out_type = field_type

    def forward(self, features: Any) -> Any:
        return enn.GeometricTensor(by_channel(features.tensor), self.out_type)

    def evaluate_output_shape(self, shape: Any) -> Any:
        return shape


@without_its_warnings()
def steerable(order: int, *middle: Callable[[Any], Any]) -> nn.Module:
    image, regular = scalar_type(order, 1), regular_type(order, 2)
    layers = [Steerable(make(regular)) for make in (*middle, enn.ReLU)]
    conv = SteerableConv(image, regular, 3, padding=1)
    return nn.Sequential(conv, *layers, *steerable_classifier(regular, 3).values())


def between_scalars(order: int) -> nn.Module:
    conv = SteerableConv(scalar_type(order, 1), scalar_type(order, 2), 5, padding=2)
    return nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def certificate(make: Callable[[], nn.Module], group: Group = P4) -> str:
    (row,) = audit(seeded(make), [9], group, channels=1).sizes
    assert not row.disagreement, row.reason
    return row.certificate


@pytest.mark.parametrize(("order", "group", "verdict"), [(2, P4, "unknown"), (6, P4, "unknown"), (6, P2, "exact")])
def test_a_regular_field_knows_the_quarter_turns_of_its_own_group(order: int, group: Group, verdict: str) -> None:
    assert all(CyclicField(order).knows(element) for element in group.elements) == (verdict == "exact")
    assert certificate(lambda: steerable(order), group) == verdict


@pytest.mark.parametrize(("order", "group", "verdict"), [(2, P4, "unknown"), (4, P4M, "unknown"), (4, P4, "exact")])
def test_filters_between_scalar_fields_know_their_own_group(order: int, group: Group, verdict: str) -> None:
    assert certificate(lambda: between_scalars(order), group) == verdict


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: enn.SequentialModule(one, enn.ReLU(one.out_type))])
def test_a_known_container_vouches_for_no_module_of_somebody_else(wrap: Callable[[Any], Any]) -> None:
    assert certificate(lambda: steerable(4, lambda regular: wrap(ByChannel(regular)))) == "unknown"
    assert certificate(lambda: steerable(4, lambda regular: wrap(enn.ReLU(regular)))) == "exact"


def hooked(conv: nn.Module) -> None:
    conv.register_forward_hook(lambda _layer, _given, made: by_channel(made))


def hooked_before(conv: nn.Module) -> None:
    conv.register_forward_pre_hook(lambda _layer, given: (by_channel(given[0]),))


def exchanged(conv: nn.Module) -> None:
    forward = conv.forward
    vars(conv)["forward"] = lambda features: by_channel(forward(features))


def with_another_bank(conv: nn.Module) -> None:
    bank: Any = conv.bank
    vars(conv)["bank"] = lambda: (by_channel(bank()[0].mT).mT, *bank()[1:])


def with_a_forward_of_torch(conv: nn.Module) -> None:
    vars(conv)["forward"] = nn.Conv2d(8, 8, 3).forward


@pytest.mark.parametrize("change", [hooked, hooked_before, exchanged, with_another_bank, with_a_forward_of_torch])
def test_a_layer_that_somebody_changed_is_not_known(change: Callable[[nn.Module], None]) -> None:
    def make(change: Callable[[nn.Module], None]) -> nn.Module:
        lift, conv = GroupConv(1, 2, 3, group=P4, in_group=TRIVIAL), GroupConv(2, 2, 3, group=P4)
        change(conv)
        return nn.Sequential(lift, nn.ReLU(), conv, CosetPool(P4), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    assert certificate(lambda: make(change)) == "unknown"
    assert certificate(lambda: make(lambda _: None)) == "exact"


def test_a_hook_on_all_modules_leaves_no_layer_known() -> None:
    def hook(layer: nn.Module, _given: Any, made: Tensor) -> Any:
        return by_channel(made) if isinstance(layer, GroupConv) else None

    def make() -> nn.Module:
        lift = GroupConv(1, 2, 3, group=P4, in_group=TRIVIAL)
        return nn.Sequential(lift, nn.ReLU(), CosetPool(P4), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    assert certificate(make) == "exact"
    with register_module_forward_hook(hook):
        assert certificate(make) == "unknown"
