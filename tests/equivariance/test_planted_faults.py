"""Faults planted in a p4 network are found and the right layer is named; networks that are only different pass."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.equivariance.certificate.verdict import certify
from gcnnbench.equivariance.controls import ControlNetwork
from gcnnbench.equivariance.decision import ControlError, decide, run_controls
from gcnnbench.equivariance.exactness import exactness, watch
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.errors import UserError
from gcnnbench.nn.convolution import GroupConv, filter_bank
from gcnnbench.nn.fields import Invariant, RegularField, ScalarField, with_field
from gcnnbench.nn.groups import P4, P4M, TRIVIAL, Group
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.nn.pooling import CosetPool

Layers = dict[str, nn.Module]


def sound(group: Group = P4) -> Layers:
    """A sound network, layer by layer."""
    field = RegularField(group)
    return {
        "lift": GroupConv(2, 3, 3, group=group, in_group=TRIVIAL, padding=1),
        "norm1": GroupBatchNorm(3, group=group),
        "relu1": with_field(nn.ReLU(), field),
        "pool": with_field(nn.MaxPool2d(2), field),
        "conv": GroupConv(3, 4, 3, group=group, padding=1),
        "norm2": GroupBatchNorm(4, group=group),
        "relu2": with_field(nn.ReLU(inplace=True), field),
        "mean": with_field(nn.AdaptiveAvgPool2d(1), field),
        "coset": CosetPool(group),
        "flatten": with_field(nn.Flatten(), Invariant()),
        "linear": with_field(nn.Linear(4, 5), Invariant()),
    }


def network(**changes: nn.Module) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = nn.Sequential()
        for name, layer in (sound() | changes).items():
            model.add_module(name, layer)
        return model


class Faulty(GroupConv):
    """A group convolution whose filter bank or output is tampered with."""

    def __init__(self, fault: Callable[[Tensor, GroupConv], Tensor], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fault = fault

    def forward(self, features: Tensor) -> Tensor:
        bank = self.fault(filter_bank(self.weight, self.group, self.in_group), self)
        bias = None if self.bias is None else self.bias.repeat_interleave(len(self.group))
        return F.conv2d(features, bank, bias, padding=self.padding)


def of_bank(fault: Callable[[Tensor], Tensor]) -> Callable[[], nn.Module]:
    """A fault on (out, group, in, in_group, height, width)."""

    def tampered(bank: Tensor, layer: GroupConv) -> Tensor:
        by_group = bank.unflatten(1, (-1, 4)).unflatten(0, (-1, 4))
        return fault(by_group.clone()).flatten(0, 1).flatten(1, 2)

    return lambda: Faulty(tampered, 3, 4, 3, group=P4, padding=1)


def turned_the_wrong_way(bank: Tensor) -> Tensor:
    return torch.stack([bank[:, g].rot90(-2 * g, (-2, -1)) for g in range(4)], 1)


def without_the_shift(bank: Tensor) -> Tensor:
    return torch.stack([bank[:, g].roll(-g, 2) for g in range(4)], 1)


def one_copy_off_by_little(bank: Tensor) -> Tensor:
    bank[0, 2, 0, 0, 0, 1] += 1e-6
    return bank


class BiasPerOrientation(nn.Module):
    """A bias that is zero at initialisation and then differs between orientations."""

    def __init__(self) -> None:
        super().__init__()
        self.field = RegularField(P4)
        self.bias = nn.Parameter(torch.zeros(12))

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(features + self.bias[:, None, None])


class PositionCode(nn.Module):
    """A learned number for each pixel, zero at initialisation."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.field = RegularField(P4)
        self.code = nn.Parameter(torch.zeros(1, 1, size, size))

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(features + self.code)


class Mask(nn.Module):
    """A constant mask, a buffer that no randomisation touches, that forgets one corner."""

    mask: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.field = RegularField(P4)
        self.register_buffer("mask", torch.ones(12, 12))
        self.mask[0, 0] = 0

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(features) * self.mask


class ChannelShuffle(nn.Module):
    """ReLU, and channels and orientations exchanged."""

    def __init__(self) -> None:
        super().__init__()
        self.field = RegularField(P4)

    def forward(self, features: Tensor) -> Tensor:
        by_group: Tensor = F.relu(features).unflatten(1, (3, 4))
        return by_group.transpose(1, 2).flatten(1, 2)


def normed_per_orientation() -> nn.Module:
    return with_field(nn.BatchNorm2d(12), RegularField(P4))


FAULTS: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "a kernel turned the wrong way": ("conv", of_bank(turned_the_wrong_way)),
    "a missing group shift": ("conv", of_bank(without_the_shift)),
    "one weight of one copy off by a millionth": ("conv", of_bank(one_copy_off_by_little)),
    "a bias per orientation": ("relu1", BiasPerOrientation),
    "batch norm per orientation": ("norm1", normed_per_orientation),
    "a position code": ("relu1", lambda: PositionCode(12)),
    "a mask that forgets a corner": ("relu1", Mask),
    "channels shuffled": ("relu1", ChannelShuffle),
    "a plain convolution": ("conv", lambda: with_field(nn.Conv2d(12, 16, 3, padding=1), RegularField(P4))),
    "a stride on an even size": ("conv", lambda: GroupConv(3, 4, 3, group=P4, padding=1, stride=2)),
    "a pool on a size it does not divide": ("pool", lambda: with_field(nn.MaxPool2d(5), RegularField(P4))),
    "padding on one side": ("pool", lambda: with_field(nn.ZeroPad2d((0, 1, 0, 1)), RegularField(P4))),
    "a transposed grid of features": (
        "pool",
        lambda: with_field(nn.Sequential(nn.MaxPool2d(2), Transpose()), RegularField(P4)),
    ),
}


class Transpose(nn.Module):
    """Rows and columns exchanged."""

    def forward(self, features: Tensor) -> Tensor:
        return features.mT


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_and_named(name: str) -> None:
    layer, make = FAULTS[name]
    model = network(**{layer: make()})
    found = exactness(model, sample_images(4, 2, 12), P4)
    assert (found.certificate, found.decision) in {("unknown", "approximate"), ("approximate", "approximate")}
    assert found.first_break is not None
    assert found.first_break.partition(".")[0].partition(":")[0] == layer


def test_faults_hide_at_initialisation_from_weights_as_given() -> None:
    for make in (BiasPerOrientation, normed_per_orientation, lambda: PositionCode(12)):
        layer = "norm1" if make is normed_per_orientation else "relu1"
        model = network(**{layer: make()})
        decision = decide(model, sample_images(4, 2, 12), P4, fan_in=1000)
        given = [one.verdict for one in decision.judged if one.state == "given"]
        drawn = [one.verdict for one in decision.judged if one.state == "drawn"]
        assert set(given) == {"exact"}
        assert "approximate" in drawn


class Different(nn.Module):
    """Equivariant by another way than the suite's: four turned copies of one ordinary network, averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 5, 3), nn.ReLU(), nn.Conv2d(5, 3, 2), nn.Flatten(), nn.Linear(3 * 81, 4))

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([self.body(images.rot90(turn, (-2, -1))) for turn in range(4)]).mean(0)


def blur() -> nn.Module:
    """A symmetric blur kernel in a buffer; were it randomised, this would look broken."""
    layer = nn.Conv2d(12, 12, 3, padding=1, bias=False, groups=12)
    del layer.weight
    layer.register_buffer(
        "weight", torch.tensor([1.0, 2.0, 1.0]).outer(torch.tensor([1.0, 2.0, 1.0])).expand(12, 1, 3, 3)
    )
    return with_field(nn.Sequential(nn.ReLU(), layer), RegularField(P4))


SOUND: dict[str, tuple[int, Callable[[], nn.Module]]] = {
    "the sound network": (12, network),
    "a control by stacking": (12, lambda: ControlNetwork(2)),
    "turned copies averaged": (12, Different),
    "a blur in a buffer": (12, lambda: network(relu1=blur())),
    "a leaky slope per network": (12, lambda: network(relu1=with_field(nn.PReLU(), RegularField(P4)))),
    "no norm": (12, lambda: network(norm1=nn.Identity(), norm2=nn.Identity())),
    "average pools": (12, lambda: network(pool=with_field(nn.AvgPool2d(2), RegularField(P4)))),
    "a stride on an odd size": (
        13,
        lambda: network(pool=nn.Identity(), conv=GroupConv(3, 4, 3, group=P4, padding=1, stride=2)),
    ),
    "dilation": (12, lambda: network(conv=GroupConv(3, 4, 3, group=P4, padding=2, dilation=2))),
    "global maximum": (12, lambda: network(mean=with_field(nn.AdaptiveMaxPool2d(1), RegularField(P4)))),
    "mean over orientations": (12, lambda: network(coset=CosetPool(P4, how="mean"))),
}


@pytest.mark.parametrize("name", SOUND)
def test_what_is_only_different_passes(name: str) -> None:
    size, make = SOUND[name]
    found = exactness(make(), sample_images(4, 2, size), P4)
    assert found.decision == "exact", found.reason
    assert found.certificate in ("exact", "unknown")
    assert found.error is not None
    assert found.error < 1e-12


def test_the_certificate_is_exact_for_the_suites_layers_only() -> None:
    assert exactness(network(), sample_images(4, 2, 12), P4).certificate == "exact"

    class Derived(GroupConv):
        """May do anything in its forward."""

    derived = network(conv=Derived(3, 4, 3, group=P4, padding=1))
    found = watch(derived, sample_images(2, 2, 12), P4.elements)
    assert (found.grid, found.verdict) == ("symmetric", "unknown")


def test_rotations_and_mirrors_are_decided_apart() -> None:
    decision = decide(network(), sample_images(4, 2, 12), P4M, fan_in=1000)
    assert decision.subgroups == {"p2": "exact", "pm": "approximate", "p4": "exact", "p4m": "approximate"}
    assert watch(network(), sample_images(2, 2, 12), P4M.elements).verdict == "unknown"
    mirrored = nn.Sequential()
    for name, layer in sound(P4M).items():
        mirrored.add_module(name, layer)
    decision = decide(mirrored, sample_images(4, 2, 12), P4M, fan_in=1000)
    assert set(decision.subgroups.values()) == {"exact"}
    assert watch(mirrored, sample_images(2, 2, 12), P4M.elements).verdict == "exact"


def test_outputs_that_are_no_logits() -> None:
    body = network()[:7]
    shown = sample_images(4, 2, 12)
    right = exactness(body, shown, P4, output=RegularField(P4))
    assert (right.certificate, right.decision) == ("exact", "exact")
    scalar = nn.Sequential(body, CosetPool(P4))
    assert exactness(scalar, shown, P4, output=ScalarField()).certificate == "exact"
    for output in (ScalarField(), Invariant()):
        wrong = exactness(body, shown, P4, output=output)
        assert (wrong.certificate, wrong.decision) == ("unknown", "approximate")


def test_a_lying_certificate_is_a_disagreement(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group convolution, of which the certificate is made to believe that it is equivariant, runs something else."""
    monkeypatch.setattr("gcnnbench.equivariance.certificate.modules.known_code", lambda _module: True)
    conv = GroupConv(3, 4, 3, group=P4, padding=1)
    faulty = of_bank(without_the_shift)()
    vars(conv).update(fault=vars(faulty)["fault"], forward=MethodType(Faulty.forward, conv))
    model = network(conv=conv)
    found = exactness(model, sample_images(4, 2, 12), P4)
    assert (found.certificate, found.decision, found.first_break) == ("exact", "approximate", "conv")
    assert str(found.reason).startswith("the certificate says exact and the decision approximate, one of them is wrong")


@pytest.mark.parametrize("size", [3, 8, 9, 12, 13, 70])
def test_controls_fall_on_their_sides(size: int) -> None:
    run_controls(sample_images(4, 2, size))


def test_controls_fail_loudly_on_images_that_show_nothing() -> None:
    alike = sample_images(1, 2, 12).repeat(4, 1, 1, 1)
    with pytest.raises(ControlError, match="the positive control is unknown instead of exact"):
        exactness(network(), alike, P4)
    whole = (sample_images(4, 2, 13) * 127.5).round()  # integers add without rounding, in any order
    turned = torch.stack([g.act(whole) for g in P4.elements]).sum(0)
    with pytest.raises(ControlError, match="the negative control is exact instead of approximate"):
        exactness(network(), turned, P4)


def test_a_constant_output_decides_nothing() -> None:
    class Constant(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.new_ones(len(images), 3)

    decision = decide(Constant(), sample_images(4, 2, 12), P4, fan_in=1)
    assert decision.verdict == "unknown"
    assert decision.reason is not None
    assert "the same for all images" in decision.reason
    assert certify(Constant(), sample_images(2, 2, 12), P4.elements).verdict == "unknown"


def test_the_images_must_be_square_and_several() -> None:
    with pytest.raises(UserError, match="two square images"):
        decide(network(), sample_images(1, 2, 12), P4, fan_in=1)
    with pytest.raises(UserError, match="two square images"):
        decide(network(), sample_images(2, 2, 12)[..., :10], P4, fan_in=1)


def test_deciding_leaves_the_network_and_torchs_generator_alone() -> None:
    model = network().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    exactness(model, sample_images(4, 2, 12), P4)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), state)
