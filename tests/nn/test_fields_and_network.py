"""Fields act as groups do, and networks name their layers and what they cannot take."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn

from gcnnbench.errors import UserError
from gcnnbench.nn.fields import CyclicField, Field, Invariant, RegularField, ScalarField, feature_field, with_field
from gcnnbench.nn.groups import P4, P4M, TRIVIAL, Element
from gcnnbench.nn.network import Network, conv_block, require_size

FIELDS: list[tuple[Field, int]] = [
    (ScalarField(), 3),
    (RegularField(P4), 8),
    (RegularField(P4M), 16),
    (CyclicField(4), 8),
    (CyclicField(8), 16),
]


@pytest.mark.parametrize(("field", "channels"), FIELDS, ids=lambda value: str(value))
def test_acting_twice_is_acting_with_the_product(field: Field, channels: int) -> None:
    features = torch.randn(2, channels, 5, 5)
    known = [g for g in P4M.elements if field.knows(g)]
    assert Element(turns=1) in known
    for g, h in product(known, repeat=2):
        assert torch.equal(field.act(field.act(features, h), g), field.act(features, g * h))
    assert torch.equal(field.act(features, Element()), features)


def test_cyclic_fields_of_order_four_are_regular_under_p4() -> None:
    features = torch.randn(2, 8, 5, 5)
    for g in P4.elements:
        assert torch.equal(CyclicField(4).act(features, g), RegularField(P4).act(features, g))
    assert not CyclicField(8).knows(Element(mirrored=1))


def test_logits_do_not_change() -> None:
    logits = torch.randn(3, 10)
    assert Invariant().knows(Element(1, 2))
    assert Invariant().act(logits, Element(1, 2)) is logits


def test_the_trivial_group_has_scalar_fields() -> None:
    assert feature_field(TRIVIAL) == ScalarField()
    assert feature_field(P4) == RegularField(P4)


def test_a_field_is_marked_on_a_module() -> None:
    module = with_field(nn.ReLU(), RegularField(P4))
    assert isinstance(module, nn.ReLU)
    assert module.field == RegularField(P4)
    assert not module.state_dict()


def test_a_block_names_its_layers() -> None:
    block = conv_block(2, 3, 4, group=P4, in_group=TRIVIAL, dropout=0.5)
    assert list(block) == ["conv2", "norm2", "relu2", "dropout2"]
    assert list(conv_block(2, 3, 4, group=P4)) == ["conv2", "norm2", "relu2"]
    assert list(conv_block(2, 3, 4, group=P4, dropout=0.0))[-1] == "dropout2", "a rate of zero is a rate"
    assert all(layer.field == RegularField(P4) for layer in block.values())


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match="depth 'relu9' names no layer: one of relu1"):
        Network({"relu1": nn.ReLU()}, depths=("relu9",))
    with pytest.raises(UserError, match=r"size \(=7\) must be at least 8"):
        require_size(7, 8)
