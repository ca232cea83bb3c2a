"""Circular shifts as an acting group of the audit: controls whose answers are known, planted faults, a brute force."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from gcnnbench.equivariance.certificate.verdict import Certificate, certify, example
from gcnnbench.equivariance.controls import ControlNetwork
from gcnnbench.equivariance.decision import decide, run_controls
from gcnnbench.equivariance.errors import measure
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.equivariance.size_audit import audit_size
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.fields import Field, Invariant, RegularField, ScalarField, with_field
from gcnnbench.nn.groups import CIRCULAR_SHIFTS, CIRCULAR_SHIFTS_P4, P4, TRIVIAL, ActingGroup, Element
from gcnnbench.nn.polyphase import (
    AdaptivePolyphaseSampling,
    adaptive_polyphase_sampling,
    adaptive_polyphase_upsampling,
)
from gcnnbench.nn.pooling import CosetPool
from gcnnbench.nn.subsampling import EquivariantSubsample

SIZE = 12


def conv(inputs: int, outputs: int, mode: str = "circular", stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, 1, padding_mode=mode)  # type: ignore[arg-type]


def head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 5)]


def plain(*middle: nn.Module, mode: str = "circular", stride: int = 1) -> nn.Sequential:
    return nn.Sequential(conv(1, 6, mode, stride), nn.ReLU(), *middle, conv(6, 6, mode), nn.ReLU(), *head(6))


class BlurPool(nn.Module):
    """A circular binomial filter and every second pixel, after Zhang 2019."""

    def forward(self, features: Tensor) -> Tensor:
        weights = torch.tensor([1.0, 2.0, 1.0], dtype=features.dtype)
        kernel = (weights[:, None] * weights / 16).expand(features.shape[1], 1, 3, 3)
        return conv2d(pad(features, (1, 1, 1, 1), mode="circular"), kernel, stride=2, groups=features.shape[1])


class Joined(nn.Module):
    """Two branches, each sampled by a choice of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = conv(1, 6), conv(1, 6)
        self.first, self.second = AdaptivePolyphaseSampling(TRIVIAL), AdaptivePolyphaseSampling(TRIVIAL)
        self.head = nn.Sequential(*head(6))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head((self.first(self.one(images)) + self.second(self.other(images))).relu())
        return logits


class Masked(nn.Module):
    """Numbers that depend on the position."""

    def forward(self, features: Tensor) -> Tensor:
        return features * torch.linspace(0, 1, features.shape[-1], dtype=features.dtype)


class Functional(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, features: Tensor) -> Tensor:
        return self.function(features)


def p4_network(*middle: nn.Module) -> nn.Sequential:
    lift, inner = GroupConv(1, 4, 3, group=P4, in_group=TRIVIAL), GroupConv(4, 4, 3, group=P4)
    first = [nn.CircularPad2d(1), lift, with_field(nn.ReLU(), RegularField(P4))]
    return nn.Sequential(*first, *middle, nn.CircularPad2d(1), inner, nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                         CosetPool(P4), nn.Flatten(), nn.Linear(4, 5))  # fmt: skip


def wrapped(features: Tensor) -> Tensor:
    return pad(features, (1, 1, 1, 1), mode="circular")


S, SP4 = CIRCULAR_SHIFTS, CIRCULAR_SHIFTS_P4
KNOWN: dict[str, tuple[Callable[[], nn.Module], ActingGroup, str, str]] = {
    # network, group, certificate, decision
    "zero padding": (lambda: plain(mode="zeros"), S, "unknown", "approximate"),
    "circular padding": (plain, S, "exact", "exact"),
    "replicated padding": (lambda: plain(mode="replicate"), S, "unknown", "approximate"),
    "stride 2": (lambda: plain(stride=2), S, "unknown", "approximate"),
    "max-pool": (lambda: plain(nn.MaxPool2d(2)), S, "unknown", "approximate"),
    "anti-aliased": (lambda: plain(BlurPool()), S, "unknown", "approximate"),
    "adaptive polyphase": (lambda: plain(AdaptivePolyphaseSampling(TRIVIAL)), S, "exact", "exact"),
    "twice": (lambda: plain(*2 * [AdaptivePolyphaseSampling(TRIVIAL)]), S, "exact", "exact"),
    "mean of ties": (lambda: plain(EquivariantSubsample(TRIVIAL)), S, "unknown", "exact"),
    "wider border than the kernel": (lambda: plain(Functional(wrapped)), S, "unknown", "approximate"),
    "cropped": (lambda: plain(Functional(lambda x: x[..., 1:-1, 1:-1])), S, "unknown", "approximate"),
    "position": (lambda: plain(Masked()), S, "unknown", "approximate"),
    "flattened": (lambda: nn.Sequential(conv(1, 2), nn.Flatten(), nn.Linear(288, 5)), S, "unknown", "approximate"),
    "ordinary filters under turns": (plain, SP4, "unknown", "approximate"),
    "p4": (p4_network, SP4, "exact", "exact"),
    "p4, adaptive polyphase": (lambda: p4_network(AdaptivePolyphaseSampling(P4)), SP4, "exact", "exact"),
    "p4, max-pool": (lambda: p4_network(nn.MaxPool2d(2)), SP4, "unknown", "approximate"),
    "p4, positions": (lambda: p4_network(Masked()), SP4, "unknown", "approximate"),
}


@pytest.mark.parametrize("name", list(KNOWN))
def test_networks_whose_answer_is_known(name: str) -> None:
    make, group, certificate, decision = KNOWN[name]
    torch.manual_seed(0)
    network = make()
    row = audit_size(lambda _: network, SIZE, group, 1)
    assert (row.certificate, row.decision, row.disagreement) == (certificate, decision, False), row.reason
    assert _brute_force(network, Invariant(), group) == decision


def _brute_force(network: nn.Module, output: Field, group: ActingGroup) -> str:
    """Every element of Z_n² ⋊ H, in float64, on noise; no line of it is the audit's."""
    network = network.double()
    images = torch.rand(8, 1, SIZE, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        given, worst = network(images), 0.0
        for point in group.point.elements:
            for place in range(SIZE * SIZE):
                g = Element(point.mirrored, point.turns, divmod(place, SIZE))
                turned = images.rot90(point.turns, (-2, -1)).roll(g.shift, (-2, -1))
                worst = max(worst, float((network(turned) - output.act(given, g)).abs().max()))
    assert not 1e-10 < worst < 1e-6
    return "exact" if worst < 1e-10 else "approximate"


class Dense(nn.Module):
    """A dense output at the size of the image: sampling, a convolution, upsampling back."""

    def __init__(self, *, upsampled: bool = True) -> None:
        super().__init__()
        self.first, self.last, self.upsampled = conv(1, 4), conv(4, 2), upsampled
        vars(self.first)["field"] = ScalarField()

    def forward(self, images: Tensor) -> Tensor:
        coarse, phase = adaptive_polyphase_sampling(self.first(images).relu())
        dense: Tensor = self.last(adaptive_polyphase_upsampling(coarse, phase) if self.upsampled else coarse)
        return dense


def test_a_field_as_output_is_judged_where_its_action_is_known() -> None:
    torch.manual_seed(0)
    dense, coarse = Dense(), Dense(upsampled=False)
    row = audit_size(lambda _: dense, SIZE, S, 1, ScalarField())
    assert (row.certificate, row.decision) == ("unknown", "exact"), row.reason
    assert _brute_force(dense, ScalarField(), S) == "exact"
    row = audit_size(lambda _: coarse, SIZE, S, 1, ScalarField())
    assert row.decision == "unknown"
    assert "how the output should move under shift-0-1" in str(row.reason)
    plain_dense = nn.Sequential(conv(1, 3), nn.ReLU(), conv(3, 2))
    row = audit_size(lambda _: plain_dense, SIZE, S, 1, ScalarField())
    assert (row.certificate, row.decision) == ("exact", "exact"), row.reason


def seen(network: nn.Module, group: ActingGroup, output: Field | None = None) -> Certificate:
    return certify(network, example(1, SIZE, torch.float32, torch.device("cpu")), group.elements, output)


def test_a_grid_chosen_by_the_features_is_no_field() -> None:
    network = nn.Sequential(conv(1, 3), AdaptivePolyphaseSampling(TRIVIAL))
    assert "chosen by the features" in seen(network, S, ScalarField()).reasons[0]


def test_choices_made_apart_are_not_certified() -> None:
    torch.manual_seed(0)
    network = Joined()
    found = seen(network, S)
    assert found.verdict == "unknown"
    assert "chosen apart" in found.reasons[0]
    assert _brute_force(network, Invariant(), S) == "approximate"


def test_circular_padding_is_followed_under_turns_too() -> None:
    found = seen(p4_network(), P4)
    assert (found.grid, found.verdict) == ("symmetric", "exact")
    found = seen(p4_network(Functional(lambda x: x[..., ::2, ::2])), P4)
    assert found.verdict == "unknown"
    assert "closes it to a torus" in found.reasons[0]


def test_one_even_circular_kernel_moves_the_map_and_the_torus_moves_it_back() -> None:
    lift = GroupConv(1, 3, 2, group=P4, in_group=TRIVIAL)
    network = nn.Sequential(
        nn.CircularPad2d((0, 1, 0, 1)), lift, nn.ReLU(), nn.AdaptiveAvgPool2d(1), CosetPool(P4), nn.Flatten()
    )
    row = audit_size(lambda _: network, SIZE, P4, 1)
    assert (row.certificate, row.decision, row.disagreement) == ("unknown", "exact", False)
    assert seen(network, S).verdict == "exact"


def test_the_controls_of_shifts_fall_on_their_sides() -> None:
    images = sample_images(3, 1, SIZE)
    assert (run_controls(images, SP4) or 0) > 1e-2
    exact = decide(ControlNetwork(1, "circular"), images, SP4, fan_in=200)
    assert exact.verdict == "exact"
    assert exact.subgroups == {"p2": "exact", "p4": "exact", "shifts": "exact"}
    assert decide(ControlNetwork(1), images, SP4, fan_in=200).subgroups["shifts"] == "approximate"


def test_layers_are_judged_where_a_shift_moves_their_pixels_in_a_known_way() -> None:
    network = p4_network(AdaptivePolyphaseSampling(P4))
    row = audit_size(lambda _: network, SIZE, SP4, 1)
    assert row.measured is not None
    shifted = {one.layer for one in row.measured.judged if "shift" in one.element}
    assert {"2", "output"} <= shifted
    assert "3" not in shifted
    assert row.recovered == ()
    state = measure(network, sample_images(2, 1, SIZE), SP4.elements)
    errors = {one.depth: one.relative for one in state.depths}
    assert errors["3"] is None
    assert (errors["2"] or 0) < 1e-12
