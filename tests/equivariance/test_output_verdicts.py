"""The verdict on a network is that of its output: what must be judged for it, and what may not mislead it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.equivariance.audit import SizeAudit, audit_size
from gcnnbench.equivariance.decision import decide
from gcnnbench.equivariance.errors import measure
from gcnnbench.equivariance.exactness import exactness
from gcnnbench.equivariance.judgement import CEILING, judge
from gcnnbench.equivariance.precision import tensors
from gcnnbench.equivariance.random_weights import DRAWS, draw_weights
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.nn.fields import Field, Invariant, ScalarField, with_field
from gcnnbench.nn.groups import P4, Element
from tests.equivariance.symmetric import brute_force, isotropic


def conv(channels: int, out_channels: int) -> nn.Module:
    return isotropic(nn.Conv2d(channels, out_channels, 3, padding=1))


class Network(nn.Module):
    """Something with the images, two isotropic convolutions, and the mean over all pixels."""

    def __init__(self, first: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.first = first or (lambda images: images)
        self.body = nn.Sequential(conv(3, 6), nn.ReLU(), conv(6, 5))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.body(self.first(images)).mean((-2, -1))
        return logits


def made(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return make()


def audited(make: Callable[[], nn.Module], size: int = 12) -> SizeAudit:
    network = made(make)
    return audit_size(lambda _: network, size, P4, 3)


# every state and every element must have been judged


class Rooted(Network):
    """A square root that random numbers leave undefined, and a position code that is zero as given."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, 3, 1, 1))
        self.place = nn.Parameter(torch.zeros(1, 3, 12, 12))

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images * self.scale.sqrt() + self.place)


def test_a_draw_that_is_not_finite_is_drawn_again_more_gently() -> None:
    network = made(Rooted)
    decision = decide(network, sample_images(4, 3, 12), P4, fan_in=100)
    assert decision.verdict == "approximate"
    assert decision.deciding is not None
    assert (decision.deciding.state, decision.deciding.layer) == ("drawn", "output")
    assert brute_force(network, 12)[1] > 1e-3
    assert "place breaks it once it has other values" in str(decision.reason)


class OnlyAsGiven(Network):
    """Finite at one value of its parameter only."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images / (self.scale == 1))


class OnlyDrawn(Network):
    """Finite with any value of its parameter but the one it has."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images / self.scale)


@pytest.mark.parametrize(("make", "state"), [(OnlyAsGiven, "drawn"), (OnlyDrawn, "given")])
def test_a_state_that_cannot_be_judged_leaves_the_verdict_unknown(make: type[Network], state: str) -> None:
    decision = decide(made(make), sample_images(4, 3, 12), P4, fan_in=100)
    assert decision.verdict == "unknown"
    assert decision.reason == f"with the weights {state}: the output is not finite"


def test_an_element_whose_action_is_not_known_leaves_the_verdict_unknown() -> None:
    class HalfTurns(ScalarField):
        def knows(self, element: Element, /) -> bool:
            return element.turns % 2 == 0

    body = made(Network).get_submodule("body")
    decision = decide(body, sample_images(4, 3, 12), P4, fan_in=100, output=HalfTurns())
    assert decision.verdict == "unknown"
    assert decision.subgroups["p2"] == "exact"
    assert decision.reason == "how the output should move under rot270, rot90 is not known"


def test_later_draws_stay_nearer_to_what_is_given() -> None:
    network = made(Network)
    given = tensors(network, torch.float64)
    far = []
    for draw in range(DRAWS):
        found = draw_weights(network, torch.float64, draw=draw)
        far.append(max(float((found[name] - given[name]).abs().max() / given[name].abs().max()) for name in given))
    assert far == sorted(far, reverse=True)
    assert far[-1] < 0.2


# a broken grid proves nothing where branches are joined


def turned_copies() -> nn.Module:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(6, 5, 3, stride=2))

        def forward(self, images: Tensor) -> Tensor:
            logits = [self.base(images.rot90(turns, (-2, -1))).mean((-2, -1)) for turns in range(4)]
            return torch.stack(logits).mean(0)

    return Turned()


class Joined(Network):
    """The sum of the logits of several parts of the image."""

    def __init__(self, parts: Callable[[Tensor], list[Tensor]]) -> None:
        super().__init__()
        self.parts = parts

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([super(Joined, self).forward(part) for part in self.parts(images)]).sum(0)


def turned_pools(images: Tensor) -> Tensor:
    pooled = [F.max_pool2d(images.rot90(turns, (-2, -1)), 2).rot90(-turns, (-2, -1)) for turns in range(4)]
    return torch.stack(pooled).sum(0)


PHASES = [(row, column) for row in (0, 1) for column in (0, 1)]
RESTORED: dict[str, tuple[int, Callable[[], nn.Module]]] = {
    "four turned copies": (12, turned_copies),
    "four polyphase slices": (12, lambda: Joined(lambda x: [x[..., row::2, column::2] for row, column in PHASES])),
    "turned pools": (13, lambda: Network(turned_pools)),
    "quadrants": (
        12,
        lambda: Joined(lambda x: [half for part in x.split(6, -1) for half in part.split(6, -2)]),
    ),
    "padded on one side and cropped again": (12, lambda: Network(lambda x: conv_then_crop(x))),
    "a slice and a crop that meet in the middle": (9, lambda: Network(lambda x: x[..., :7:2, :7:2][..., 1:, 1:])),
}


def conv_then_crop(images: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(images, (0, 1, 0, 1)), 3, 1, 1)[..., :-1, :-1] * 2


@pytest.mark.parametrize("name", RESTORED)
def test_a_broken_grid_behind_which_the_symmetry_is_restored_is_unknown_and_measured_exact(name: str) -> None:
    size, make = RESTORED[name]
    row = audited(make, size)
    assert (row.certificate, row.decision, row.disagreement) == ("unknown", "exact", False), row.reason
    assert row.first_break is None
    assert max(brute_force(made(make), size)) < 1e-12


BROKEN: dict[str, tuple[int, Callable[[], nn.Module]]] = {
    "a slice": (12, lambda: Network(lambda x: x[..., ::2, ::2])),
    "two slices on one grid": (12, lambda: Joined(lambda x: [x[..., ::2, ::2], x[..., ::2, ::2].square()])),
    "three of four turned copies": (
        13,
        lambda: Joined(lambda x: [F.max_pool2d(x.rot90(t, (-2, -1)), 2) for t in range(3)]),
    ),
    "a crop on one side": (12, lambda: Network(lambda x: x[..., 1:, 1:])),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_nothing_restores_is_measured_and_never_called_exact(name: str) -> None:
    size, make = BROKEN[name]
    row = audited(make, size)
    assert (row.decision, row.disagreement) == ("approximate", False)
    assert row.certificate == ("unknown" if "turned" in name else "approximate")
    assert min(brute_force(made(make), size)) > 1e-4


def test_a_layer_broken_below_an_exact_output_is_recovered() -> None:
    class Recovering(nn.Module):
        """The mean over four turned copies of a network whose strided layer says how it should move."""

        def __init__(self) -> None:
            super().__init__()
            self.base = with_field(nn.Conv2d(3, 6, 3, stride=2, padding=1), ScalarField())

        def forward(self, images: Tensor) -> Tensor:
            return torch.stack([self.base(images.rot90(t, (-2, -1))).mean((-2, -1)) for t in range(4)]).mean(0)

    row = audited(Recovering)
    assert (row.decision, row.first_break, row.recovered[0]) == ("exact", None, "base")
    assert row.error is not None
    assert row.error < 1e-12
    assert "broken below and recovered at the output: base" in str(row.reason)


def test_a_disagreement_is_a_finding_and_never_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Masked(nn.Module):
        """A filter of three by three of which only a symmetric two by two is not zero: exact where its grid is not."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("filters", F.pad(torch.full((3, 1, 2, 2), 0.25), (1, 0, 1, 0)))

        def forward(self, images: Tensor) -> Tensor:
            return F.conv2d(images, self.get_buffer("filters"), stride=2, padding=1, groups=3).square().mean((-2, -1))

    found = exactness(Masked(), sample_images(4, 3, 12), P4)
    assert (found.certificate, found.decision) == ("approximate", "exact")
    assert str(found.reason).startswith("the certificate says approximate and the decision exact, one of them is wrong")


# networks that change what they are given


def in_place(images: Tensor) -> Tensor:
    return images.sub_(images.mean((1, 2, 3), keepdim=True)).div_(0.5)


def test_a_network_that_works_in_place_is_measured_right_and_named() -> None:
    shown = sample_images(4, 3, 12)
    before = shown.clone()
    row = audited(lambda: Network(in_place))
    assert row.decision == "exact"
    assert "the network changes its input in place (sub_); it was given copies" in str(row.reason)
    state = measure(made(lambda: Network(in_place)), shown.double(), P4.elements)
    assert state.invariance_error is not None
    assert state.invariance_error < 1e-12
    assert torch.equal(shown, before)


class Counting(Network):
    """A buffer that every pass changes, and that the output depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        self.get_buffer("passes").add_(1)
        return super().forward(images) * self.get_buffer("passes")


def test_every_pass_starts_from_the_same_buffers() -> None:
    network = made(Counting)
    assert audit_size(lambda _: network, 12, P4, 3).decision == "exact"
    assert float(network.get_buffer("passes")) == 0


class Frozen(Network):
    """An asymmetric filter that its `train` always leaves in force, and a dropout that is never switched off."""

    def __init__(self) -> None:
        super().__init__()
        self.flag = True

    def train(self, mode: bool = True) -> Frozen:
        self.flag = not mode
        return super().train(mode)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images[..., 1:, :-1] if self.flag else images)


def test_the_mode_is_the_one_that_eval_reaches() -> None:
    network = Frozen().train()
    assert audit_size(lambda _: network, 12, P4, 3).decision == "approximate"
    assert network.flag is False
    assert all(module.training for module in network.modules())


def test_a_network_that_is_random_in_evaluation_mode_is_unknown() -> None:
    network = made(lambda: Network(lambda x: F.dropout(x, 0.1, training=True)))
    decision = decide(network, sample_images(4, 3, 12), P4, fan_in=100)
    assert decision.verdict == "unknown"
    assert "draws random numbers in evaluation mode" in str(decision.reason)
    harmless = made(lambda: Network(lambda x: x + 0 * torch.rand(3, 1, 1, dtype=x.dtype)))
    assert decide(harmless, sample_images(4, 3, 12), P4, fan_in=100).verdict == "exact"


# what no optimiser can change stays


@pytest.mark.parametrize("kind", ["a buffer", "frozen", "trainable"])
def test_a_blur_kernel_is_redrawn_only_where_an_optimiser_could_change_it(kind: str) -> None:
    class Blurred(Network):
        def __init__(self) -> None:
            super().__init__()
            kernel = torch.tensor([1.0, 2.0, 1.0]).outer(torch.tensor([1.0, 2.0, 1.0])).expand(3, 1, 3, 3) / 16
            if kind == "a buffer":
                self.register_buffer("kernel", kernel)
            else:
                self.kernel = nn.Parameter(kernel.clone(), requires_grad=kind == "trainable")

        def forward(self, images: Tensor) -> Tensor:
            return super().forward(F.conv2d(images, self.kernel, groups=3))

    row = audited(Blurred)
    assert row.decision == ("approximate" if kind == "trainable" else "exact")
    if kind == "trainable":
        assert "as given it is exact: kernel breaks it once it has other values" in str(row.reason)
        assert row.invariance_error is not None
        assert row.error == row.drawn_error
        assert row.invariance_error < 1e-12


def test_the_output_decides_with_the_error_that_is_shown() -> None:
    row = audited(lambda: Network(lambda x: x[..., ::2, ::2]))
    assert row.error == max(row.invariance_error or 0, row.drawn_error or 0)


# rounding


def test_a_bound_beyond_the_ceiling_leaves_the_verdict_unknown() -> None:
    class Amplifying(Network):
        """Rounding grows by eleven orders of magnitude before the output, to more than a millionth of it."""

        def forward(self, images: Tensor) -> Tensor:
            return (super().forward(images) * 1e11).sin()

    network = made(Amplifying)
    found = judge(network, "given", tensors, sample_images(4, 3, 12), P4, fan_in=100, output=Invariant())
    assert found.verdict(P4) == "unknown"
    worst = max(found.at_output(P4), key=lambda one: one.error)
    assert CEILING < worst.error < worst.bound
    decision = decide(network, sample_images(4, 3, 12), P4, fan_in=100)
    assert decision.verdict == "unknown"
    assert "with the weights given; rounding stays below" in str(decision.reason)


def test_states_are_judged_as_values() -> None:
    shown, output = sample_images(4, 3, 12), Invariant()
    found = judge(made(Network), "mine", draw_weights, shown, P4, fan_in=100, output=output)
    assert found.state == "mine"
    assert found.verdict(P4) == "exact"
    assert {one.state for one in found.judged} == {"mine"}
    assert isinstance(output, Field)


# what the images given do not show


class ByCorner(Network):
    """Goes another way for images whose first pixel is bright; no digit's is."""

    def forward(self, images: Tensor) -> Tensor:
        bright = images[:, 0, 0, 0] > images[:, 0].mean((-2, -1))
        return super().forward(torch.where(bright[:, None, None, None], images.tanh() * 2, images))


def test_a_break_that_the_images_do_not_show_is_found_on_noise() -> None:
    row = audited(ByCorner)
    assert row.decision == "approximate"
    assert row.invariance_error is not None
    assert row.invariance_error < 1e-12
    assert row.error is not None
    assert row.error > 1e-3
    assert "given, on noise; " in str(row.reason)
    assert "on the images it is exact: what it does depends on them" in str(row.reason)


def test_noise_on_which_nothing_can_be_told_changes_no_verdict() -> None:
    class Rooted(Network):
        """Finite for images whose corner is dark only."""

        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images * (images[:, :1, :1, :1] <= images.mean()).to(images.dtype).log().add(1))

    assert audited(Rooted).decision == "exact"


class InMemory(Network):
    """Reads its images from memory, row by row, as a kernel of one's own may; then a filter that is only mirrored."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Parameter(torch.randn(3, 3, 3, 3))

    def forward(self, images: Tensor) -> Tensor:
        seen = images.as_strided(images.shape, torch.empty(images.shape).stride())
        symmetric = sum((self.filters.flip(dims) for dims in ((), (-1,), (-2,), (-1, -2))), torch.zeros(()))
        return super().forward(F.conv2d(seen, symmetric, padding=1))


def test_moved_images_lie_in_memory_as_images_do() -> None:
    assert audited(InMemory).decision == "approximate"


class Remembering(Network):
    """Answers as it did when it first saw images of that shape; what it does is broken."""

    def __init__(self) -> None:
        super().__init__(lambda images: images * torch.linspace(0, 1, images.shape[-1], dtype=images.dtype))
        self.kept: dict[torch.Size, Tensor] = {}

    def forward(self, images: Tensor) -> Tensor:
        if images.shape not in self.kept:
            self.kept[images.shape] = super().forward(images)
        return self.kept[images.shape]


class BesideTheFirst(Network):
    """Every image less the first one of its batch."""

    def __init__(self) -> None:
        super().__init__(lambda images: images - images[:1])


@pytest.mark.parametrize("make", [Remembering, BesideTheFirst])
def test_a_network_that_does_not_follow_its_images_is_unknown(make: type[Network]) -> None:
    row = audited(make)
    assert row.decision == "unknown"
    assert "images in another order do not give the outputs in that order" in (row.reason or "")


def test_a_complex_output_is_named() -> None:
    class Complex(Network):
        def forward(self, images: Tensor) -> Tensor:
            logits = super().forward(images)
            return torch.complex(logits, logits)

    row = audited(Complex)
    assert row.decision == "unknown"
    assert "the output is complex; put out its real and imaginary part as channels" in (row.reason or "")
