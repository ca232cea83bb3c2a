"""Fields act as groups do."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn

from gcnnbench.nn.fields import CyclicField, Field, Invariant, RegularField, ScalarField, feature_field, with_field
from gcnnbench.nn.groups import P4, P4M, TRIVIAL, Element

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


@pytest.mark.parametrize(("field", "channels"), FIELDS, ids=lambda value: str(value))
@pytest.mark.parametrize("batch", [3, 8])
def test_a_vector_moves_as_a_map_of_one_pixel_does(field: Field, channels: int, batch: int) -> None:
    vectors = torch.randn(batch, channels)
    for g in (g for g in P4M.elements if field.knows(g)):
        assert torch.equal(field.act(vectors, g), field.act(vectors[..., None, None], g).flatten(1))


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
