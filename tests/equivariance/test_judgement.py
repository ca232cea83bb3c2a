"""The parts that judge, one by one: verdicts, scales, fields that must fit, and e2cnn's rounding."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.equivariance.certificate.verdict import certify
from gcnnbench.equivariance.deviations import OUTPUT, deviations
from gcnnbench.equivariance.errors import measure
from gcnnbench.equivariance.exactness import exactness
from gcnnbench.equivariance.judgement import CEILING, NEGLIGIBLE, judge, verdict_of
from gcnnbench.equivariance.precision import tensors
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.equivariance.steering import symmetrised
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.fields import Invariant
from gcnnbench.nn.groups import P2, P4, TRIVIAL
from gcnnbench.nn.pooling import CosetPool


@pytest.mark.parametrize(
    ("error", "single", "bound", "verdict"),
    [
        (1e-15, None, 1e-11, "exact"),
        (1e-13, 1e-13, 1e-11, "exact"),
        (1e-3, None, 1e-6, "approximate"),
        (2 * CEILING, None, CEILING, "approximate"),
        (2 * CEILING, 2 * CEILING, 1e-11, "approximate"),
        (2 * CEILING, 2e-2, 1e-11, "unknown"),
        (float("inf"), None, 1e-9, "approximate"),
        (1e-9, 1e-9, 1e-11, "approximate"),  # above the bound, and it does not fall
        (1e-9, 1e-2, 1e-11, "unknown"),  # above the bound, but it falls
        (1e-9, 0.1, 1e-8, "exact"),  # below the bound, and it falls as rounding does
        (1e-9, 1e-3, 1e-8, "unknown"),  # below the bound, and float32 may only hide it
        (1e-9, 1e-9, 1e-8, "unknown"),  # below the bound, but it does not fall
        (2e-12, 0.0, 1e-12, "unknown"),  # above the bound, but float32 shows nothing
        (1e-9, 1e-13, 1e-11, "unknown"),
        (1e-9, None, 1e-8, "unknown"),
        (NEGLIGIBLE / 2, None, NEGLIGIBLE / 4, "unknown"),
    ],
)
def test_a_verdict_by_bound_and_by_fall(error: float, single: float | None, bound: float, verdict: str) -> None:
    assert verdict_of(error, single, bound) == verdict


class Normed(nn.Module):
    """Pixel by pixel but for a norm, which takes off again what a bias adds, and with it most of small images."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm, self.linear = nn.Conv2d(1, 2, 1), norm, nn.Linear(2, 3)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.norm(self.conv(images)).relu().mean((-2, -1)))
        return logits


def test_rounding_behind_a_norm_breaks_no_symmetry() -> None:
    for seed in range(4):
        torch.manual_seed(seed)
        network = Normed(nn.InstanceNorm2d(2, affine=True))
        found = exactness(network, sample_images(4, 1, 8), P4)
        assert (found.certificate, found.decision) == ("exact", "exact"), (seed, found.reason)


@pytest.mark.parametrize(
    ("norm", "additions"),
    [
        (nn.BatchNorm2d(2), 1),
        (nn.BatchNorm2d(2, track_running_stats=False), 2 * 64),  # two images
        (nn.InstanceNorm2d(2), 64),
        (nn.GroupNorm(1, 2), 2 * 64),
        (nn.LayerNorm((2, 8, 8), elementwise_affine=False), 2 * 64),
    ],
)
def test_the_statistics_of_a_norm_are_sums(norm: nn.Module, additions: int) -> None:
    found = certify(Normed(norm), sample_images(2, 1, 8), P4.elements)
    without = certify(Normed(nn.Identity()), sample_images(2, 1, 8), P4.elements)
    assert additions <= found.fan_in - without.fan_in <= additions + 2  # a view counts as one


def test_a_network_that_takes_no_float32_is_judged_without() -> None:
    class InDoublePrecision(nn.Module):
        """Broken by a billionth of its output, which float32 alone could tell from rounding."""

        def forward(self, images: Tensor) -> Tensor:
            weight = torch.ones(64, 2, dtype=torch.float64)
            weight[27] += 1e-7
            return images.flatten(1) @ weight

    found = judge(InDoublePrecision(), "given", tensors, sample_images(4, 1, 8), P4, fan_in=64, output=Invariant())
    assert NEGLIGIBLE < max(one.error for one in found.judged) < CEILING
    assert found.verdict(P4) == "unknown"


class Head(nn.Module):
    """Something on images, then rectified, pooled over orientations and pixels."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)
        self.coset = CosetPool(P4)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.coset(self.body(images).relu()).mean((-2, -1))
        return logits


def lifting(channels: int) -> GroupConv:
    return GroupConv(channels, 2, 3, group=P4, in_group=TRIVIAL, padding=1)


@pytest.mark.parametrize(
    ("network", "layer"),
    [
        (Head(GroupConv(1, 2, 3, group=P4, padding=1)), "body.0"),  # images are no regular field
        (Head(lifting(4), lifting(8)), "body.1"),  # a regular field is no image
    ],
)
def test_a_known_layer_on_features_of_another_kind_is_no_certificate(network: Head, layer: str) -> None:
    found = certify(network, sample_images(2, 4, 12), P4.elements)
    assert (found.grid, found.verdict) == ("symmetric", "unknown")
    assert found.reasons[0].startswith(f"{layer}: it needs ")
    assert exactness(network, sample_images(4, 4, 12), P4).decision == "approximate"


def test_the_scale_of_a_deviation_is_that_of_the_relative_error() -> None:
    network = Head(GroupConv(1, 2, 3, group=P4, in_group=TRIVIAL, stride=2))
    network.depths = ("body.0", "coset")  # type: ignore[assignment]
    shown = sample_images(5, 1, 12)
    found = deviations(network, tensors, shown.double(), P2.elements, Invariant())
    by_layer = {one.layer: one.error for one in found}
    state = measure(network, shown, P2.elements)
    assert {depth.depth: depth.relative for depth in state.depths} == {
        depth: pytest.approx(by_layer[depth], rel=1e-9) for depth in ("body.0", "coset")
    }
    assert by_layer[OUTPUT] == pytest.approx(state.invariance_error, rel=1e-9)
    assert min(by_layer.values()) > 1e-3


def test_e2cnns_rounding_is_put_right_and_its_faults_are_not() -> None:
    gspaces, enn = import_module("e2cnn.gspaces"), import_module("e2cnn.nn")
    space = gspaces.Rot2dOnR2(4)
    regular = enn.FieldType(space, 2 * [space.regular_repr])
    image = enn.FieldType(space, 3 * [space.trivial_repr])
    draws = torch.randn(8, 3, 5, 5, dtype=torch.float64)
    field = import_module("gcnnbench.equivariance.depths").GeometricField

    def off(filters: Tensor) -> float:
        g = P4.elements[1]
        moved = field(regular).act_on_fibre(field(image).act(filters, g).transpose(0, 1), g).transpose(0, 1)
        return float((moved - filters).abs().max())

    lift = lifting(3).double()
    filters = import_module("gcnnbench.nn.convolution").filter_bank(lift.weight, P4, TRIVIAL).detach()
    assert off(filters) == 0  # e2cnn's regular field is that of the suite
    noise = draws[..., :3, :3]
    rounded, faulty = filters + 1e-8 * noise, filters + 1e-2 * noise
    assert off(rounded) > 1e-9
    assert off(symmetrised(rounded, image, regular)) < 1e-16
    assert torch.equal(symmetrised(faulty, image, regular), faulty)
