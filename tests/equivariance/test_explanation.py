"""What an audit says in words is said of the group that was asked about, and of the right call of the right layer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.equivariance.audit import audit
from gcnnbench.equivariance.explanation import explain
from gcnnbench.equivariance.wording import words
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.fields import ScalarField, with_field
from gcnnbench.nn.groups import P4, TRIVIAL, ActingGroup, Element, Group
from gcnnbench.nn.pooling import CosetPool

FLIP = Group("flip", (Element(), Element(1, 2)))
UP_DOWN = Group("pm", FLIP.elements)
"""Another group under the name of one of the suite's."""


class UpDown(nn.Module):
    """Knows no left and right, so that it is equivariant to being turned upside down alone; pooled without padding."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 1)
        self.pool = nn.AvgPool2d(2)

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.pool(self.conv(images).relu())
        return maps.mean(2)[..., :3].flatten(1)


@pytest.mark.parametrize("group", [FLIP, UP_DOWN], ids=["a name of its own", "a name of the suite's"])
def test_every_word_is_of_the_group_that_was_asked_about(group: ActingGroup) -> None:
    network = UpDown()
    found = audit(network, [9], group, channels=1)
    assert words(found, found.sizes[0]) == "approximate"
    told = explain(network, 9, group, channels=1)
    assert f"at 9 under {group.name}: approximate" in told
    assert "8 instead of 9: pool sees 8 instead of 9" in told
    assert audit(network, [9], group, channels=1).document()["group"] == group.name


class Twice(nn.Module):
    """Pools twice, by one module or by one function."""

    def __init__(self, *, module: bool) -> None:
        super().__init__()
        self.first = GroupConv(1, 3, 3, group=P4, in_group=TRIVIAL, padding=1)
        self.second = GroupConv(3, 3, 3, group=P4, padding=1)
        self.pool = nn.MaxPool2d(2) if module else (lambda maps: F.max_pool2d(maps, 2))
        self.coset = CosetPool(P4)

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.coset(self.pool(self.second(self.pool(self.first(images).relu())).relu()))
        return maps.mean((-2, -1))


@pytest.mark.parametrize("module", [True, False], ids=["a module", "a function"])
def test_a_size_that_would_do_is_told_of_the_call_that_breaks(module: bool) -> None:
    told = explain(Twice(module=module), 13, channels=1)
    assert "sees 12 instead of 13" in told
    assert "sees 6" not in told


def test_a_layer_before_the_first_broken_grid_is_said_to_be_measured() -> None:
    torch.manual_seed(0)
    network = nn.Sequential()
    network.append(with_field(nn.Conv2d(1, 4, 3, padding=1), ScalarField()))
    network.extend([nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()])
    (row,) = audit(network, [13], channels=1).sizes
    assert row.first_break == "1"
    assert str(row.reason).startswith("1: max_pool2d")
    assert "the first layer measured to break is 0, by " in str(row.reason)
