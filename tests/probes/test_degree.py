"""The probe `degree`: nothing at the symmetric point, noise at random weights, and a half turn is no quarter turn."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import nn

from gcnnbench.nn.fields import RegularField
from gcnnbench.nn.groups import P4, Element
from gcnnbench.nn.projected import ProjectedConv
from gcnnbench.nn.projection import transformed
from gcnnbench.probes import degree

IMAGES = torch.zeros(2, 1, 9, 9)


def layer() -> ProjectedConv:
    torch.manual_seed(3)
    return ProjectedConv(3, 4, 3, group=P4, strength=0.1)


def outside(conv: ProjectedConv) -> float:
    found = degree.measure(nn.Sequential(OrderedDict(conv=conv)), IMAGES, P4)
    assert list(found) == ["conv"]
    reading: float = found["conv"]["outside"]
    return reading


def test_it_is_zero_at_the_symmetric_point_and_noise_at_random_weights() -> None:
    conv = layer()
    assert outside(conv) == pytest.approx(0.75**0.5, abs=0.05)  # a quarter of a random bank's dimensions is symmetric
    before = {name: value.clone() for name, value in conv.state_dict().items()}
    outside(conv)
    assert all(torch.equal(value, before[name]) for name, value in conv.state_dict().items())
    conv.double().symmetric()
    assert outside(conv) < 1e-15


def test_a_bank_that_only_the_half_turn_keeps_is_not_called_symmetric() -> None:
    """The half turn is its own inverse; a probe that asked for it alone would see nothing here."""
    conv, half, field = layer(), Element(0, 2), RegularField(P4)
    with torch.no_grad():
        conv.weight.copy_((conv.weight + transformed(conv.weight, half, field, field)) / 2)
    kept = transformed(conv.weight.detach(), half, field, field)
    assert torch.allclose(kept, conv.weight.detach(), rtol=0, atol=1e-7)
    assert outside(conv) == pytest.approx(0.5**0.5, abs=0.05)


def test_a_layer_without_a_degree_is_left_out() -> None:
    assert degree.measure(nn.Sequential(nn.Conv2d(1, 2, 3)), IMAGES, P4) == {}
