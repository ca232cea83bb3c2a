"""What a repair claims is measured again here, by a brute force of its own; each kind of repair is found somewhere."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from gcnnbench.equivariance.audit import audit
from gcnnbench.equivariance.explanation import explain
from gcnnbench.equivariance.repairs import Repair, Resized, repairs
from gcnnbench.equivariance.windows import equivariantly_subsampled, even
from gcnnbench.equivariance.wording import words
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.groups import P4, TRIVIAL
from gcnnbench.nn.pathway import ResidualPathwayConv
from gcnnbench.nn.pooling import CosetPool
from tests.equivariance.symmetric import brute_force, isotropic


class Strided(nn.Module):
    """Convolution – pool – strided convolution – mean, of isotropic filters."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.conv = nn.Conv2d(4, 4, 3, 2, 1)
        isotropic(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.conv(self.pool(self.stem(images).relu())).relu().mean((-2, -1))  # type: ignore[no-any-return]


class P4Strided(nn.Module):
    """The same with group convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = GroupConv(1, 3, 3, group=P4, in_group=TRIVIAL, padding=1)
        self.conv = GroupConv(3, 3, 3, group=P4, stride=2, padding=1)
        self.coset = CosetPool(P4)

    def forward(self, images: Tensor) -> Tensor:
        return self.coset(self.conv(self.stem(images).relu()).relu()).mean((-2, -1))  # type: ignore[no-any-return]


def found(make: Callable[[], nn.Module], size: int) -> dict[str, Repair]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        network = make()
    (row,) = audit(network, [size], channels=1, nearest=True).sizes
    assert row.decision == "approximate"
    return {repair.what: repair for repair in repairs(lambda _: network, row, P4, 1)}


@pytest.mark.parametrize("make", [Strided, P4Strided])
def test_even_sizes_have_repairs_of_every_kind(make: type[nn.Module]) -> None:
    kinds = found(make, 16)
    assert "resize the images to 17" in kinds
    assert "kernels larger by one, as 2×2 for 1×1, in the layers that break" in kinds
    assert "a stem of 2×2" in kinds
    assert "equivariant sub-sampling in the layers that break" in kinds
    for repair in kinds.values():
        assert repair.error is not None
        assert repair.error < 1e-12
        assert repair.macs > 0
        assert repair.code
    dense = kinds["equivariant sub-sampling in the layers that break"]
    assert dense.macs > dense.before
    assert "EquivariantSubsample(" in dense.code[-1]


def test_a_repair_by_hand_is_exact_as_it_says() -> None:
    network = Strided()
    assert min(brute_force(network, 16, channels=1)) > 1e-3
    by_hand = copy.deepcopy(network)
    by_hand.pool = nn.MaxPool2d(4, 2, 1)
    by_hand.conv = isotropic(nn.Conv2d(4, 4, 4, 2, 1))  # type: ignore[assignment]
    assert max(brute_force(by_hand, 16, channels=1)) < 1e-12
    assert max(brute_force(Resized(network, 17, pad=False), 16, channels=1)) < 1e-12
    assert found(Strided, 16)["kernels larger by one, as 2×2 for 1×1, in the layers that break"].code == (
        "pool = nn.MaxPool2d(4, stride=2, padding=1)",
        "conv = nn.Conv2d(4, 4, 4, stride=2, padding=1)",
    )


def test_an_odd_size_is_padded_where_that_serves() -> None:
    class Pooled(Strided):
        def forward(self, images: Tensor) -> Tensor:
            return F.max_pool2d(self.stem(images), 4).relu().mean((-2, -1))

    assert "pad the images to 20" in found(Pooled, 18)


def test_the_explanation_prints_them_with_code_and_cost() -> None:
    text = explain(Strided(), 16, P4, channels=1)
    assert "what makes it exact at 16, each tried and measured:" in text.splitlines()
    assert "      conv = nn.Conv2d(4, 4, 4, stride=2, padding=1)" in text.splitlines()
    assert "× the MACs: " in text


def test_a_network_whose_layers_never_were_reads_not_equivariant() -> None:
    def read(network: nn.Module, *sizes: int) -> list[str]:
        made = audit(network, sizes, channels=1)
        return [words(made, row) for row in made.sizes]

    assert read(Strided(), 16) == ["approximate"]
    assert read(Strided(), 16, 17) == ["approximate", "not proved; measured exact"]
    assert read(P4Strided(), 16, 17) == ["approximate", "exact"]
    plain = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert read(plain, 16, 17) == ["not equivariant", "not equivariant"]
    assert read(plain, 16) == ["not equivariant"]


class Rectified(nn.Conv2d):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).abs()


@pytest.mark.parametrize(
    "layer",
    [
        nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        nn.AvgPool2d(3, 2, 1, divisor_override=2),
        nn.MaxPool2d(3, 2, 1, return_indices=True),
        nn.Conv2d(1, 4, 3, 2, 1, dilation=2),
        nn.Conv2d(1, 4, (3, 5), 2, 1),
        Rectified(1, 4, 3, 2, 1),
        ResidualPathwayConv(
            1, 4, 3, group=P4, in_group=TRIVIAL, stride=2, padding=1, equivariant_strength=0.1, free_strength=0.1
        ),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_that_is_more_than_its_window_is_not_replaced(layer: nn.Module) -> None:
    assert even(layer) is None
    assert equivariantly_subsampled(layer) is None


def test_a_constrained_layer_is_replaced_with_its_constraint() -> None:
    layer = parametrize.register_parametrization(nn.Conv2d(1, 4, 3, 2, 1), "weight", nn.Softplus())
    changed = even(layer)
    assert changed is not None
    assert parametrize.is_parametrized(changed[0], "weight")
