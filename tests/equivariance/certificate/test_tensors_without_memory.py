"""Sparse tensors, those of MKL-DNN and those in a transform of torch.func are taken, and hide nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gcnnbench.equivariance.size_audit import audit_size
from gcnnbench.nn.groups import P4
from tests.equivariance.audited import seeded
from tests.equivariance.certificate.pointwise import Pointwise, Something, audited, verdicts


def neighbours() -> Tensor:
    """A sparse matrix (64, 64) that adds to each pixel of 8×8 those above, below, left and right of it."""
    places = torch.arange(64).view(8, 8)
    pairs = [(places[1:], places[:-1]), (places[:, 1:], places[:, :-1])]
    edges = torch.cat([torch.stack([a.flatten(), b.flatten()]) for a, b in pairs], 1)
    edges = torch.cat([edges, edges.flip(0)], 1)
    return torch.sparse_coo_tensor(edges, torch.ones(edges.shape[1]), (64, 64))


def on_the_graph(x: Tensor) -> Tensor:
    joined: Tensor = torch.sparse.mm(neighbours().to(x), x.flatten(2).flatten(0, 1).T).T
    return joined.reshape(x.shape)


def slopes(x: Tensor) -> Tensor:
    slope: Tensor = torch.func.vmap(torch.func.grad(lambda image: image.sigmoid().sum()))(x)
    return slope


def padded(x: Tensor) -> Tensor:
    """Positions behind circular padding, image by image."""

    def one(image: Tensor) -> Tensor:
        wide = F.pad(image, (1, 1, 1, 1), mode="circular")
        return wide * torch.arange(10.0).to(image)

    made: Tensor = torch.vmap(one)(x)
    return made


def listed(x: Tensor) -> Tensor:
    """One pixel, handed to Python within a transform."""

    def total(images: Tensor) -> Tensor:
        gates = torch.tensor(images[:, 0, 0, 0].tolist()).to(images)
        return (images * gates[:, None, None, None]).sum()

    gates: Tensor = torch.func.grad(total)(x).mean((-2, -1))
    return x.relu().mean((-2, -1)) * gates


LOST: dict[str, Something] = {
    "a graph of pixels": on_the_graph,
    "sparse features": lambda x: x.relu().to_sparse().to_dense(),
}
BROKEN: dict[str, Something] = {"positions in vmap": padded, "a pixel in grad": listed}


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize("name", LOST)
def test_exact_networks_with_such_tensors_are_measured(name: str) -> None:
    assert verdicts(LOST[name]) == ("unknown", "exact")


def test_what_a_transform_does_to_each_pixel_is_certified() -> None:
    assert verdicts(slopes) == ("exact", "exact")


def test_layers_within_a_transform_are_followed() -> None:
    class ImageByImage(Pointwise):
        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.linear(torch.vmap(lambda one: self.conv(one).relu().mean((-2, -1)))(images))
            return logits

    row = audit_size(lambda _: seeded(lambda: ImageByImage(torch.relu)), 8, P4, 1)
    assert (row.certificate, row.decision) == ("exact", "exact")


@pytest.mark.parametrize("name", BROKEN)
def test_broken_networks_with_such_tensors_are_not_certified(name: str) -> None:
    assert verdicts(BROKEN[name]) == ("unknown", "approximate")


def test_features_of_mkldnn_are_lost() -> None:
    seen = audited(lambda x: x.float().to_mkldnn().sigmoid().to_dense().to(x)).seen
    assert seen is not None
    assert seen.verdict == "unknown"
    assert "does something to the pixels that is not known here" in seen.reasons[0]
