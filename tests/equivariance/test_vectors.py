"""Features without pixels, (batch, channels): the group acts on their channels alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.equivariance.audit import audit
from gcnnbench.equivariance.depths import GeometricField
from gcnnbench.equivariance.errors import measure
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.fields import RegularField
from gcnnbench.nn.groups import P4, TRIVIAL
from gcnnbench.nn.pooling import CosetPool
from gcnnbench.nn.steerable import regular_type


class Pooled(nn.Module):
    """A lifting convolution, the mean over pixels, and only then the maximum over the group; a break at the end."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__()
        self.broken = broken
        self.conv = GroupConv(1, 3, 3, group=P4, in_group=TRIVIAL)
        self.coset = CosetPool(P4)
        self.linear = nn.Linear(3, 5)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.coset(self.conv(images).relu().mean((-2, -1))))
        return logits + images[..., 2:5, 0].mean((1, 2))[:, None] if self.broken else logits


def test_an_exact_layer_on_vectors_is_none_that_is_recovered() -> None:
    (row,) = audit(Pooled(), [8], channels=1).sizes
    assert (row.decision, row.recovered) == ("exact", ())


def test_a_break_behind_it_is_not_put_down_to_it() -> None:
    (row,) = audit(Pooled(broken=True), [8], channels=1).sizes
    assert (row.decision, row.first_break) == ("approximate", None)


@pytest.mark.parametrize("images", [3, 8], ids=["as many as channels", "more"])
def test_the_error_is_that_of_the_channels(images: int) -> None:
    (depth,) = (
        one for one in measure(Pooled(), sample_images(images, 1, 8), P4.elements).depths if one.depth == "coset"
    )
    assert depth.relative == pytest.approx(0, abs=1e-12)


def test_an_output_may_be_a_regular_vector() -> None:
    network = nn.Sequential(
        GroupConv(1, 3, 3, group=P4, in_group=TRIVIAL), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    (row,) = audit(network, [8], channels=1, output=RegularField(P4)).sizes
    assert row.decision == "exact"


def test_a_geometric_field_acts_on_vectors_as_on_maps_of_one_pixel() -> None:
    field, vectors = GeometricField(regular_type(4, 2)), torch.randn(3, 8)
    for g in P4.elements:
        assert torch.equal(field.act(vectors, g), field.act(vectors[..., None, None], g).flatten(1))
