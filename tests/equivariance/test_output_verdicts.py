"""The verdict on a network is that of its output: what must be judged for it, and by which bounds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.equivariance.decision import decide
from gcnnbench.equivariance.errors import measure
from gcnnbench.equivariance.exactness import exactness
from gcnnbench.equivariance.judgement import CEILING, judge
from gcnnbench.equivariance.precision import tensors
from gcnnbench.equivariance.random_weights import DRAWS, draw_weights
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.errors import UserError
from gcnnbench.nn.fields import Field, Invariant, ScalarField
from gcnnbench.nn.groups import P2, P4, Element, Group
from tests.equivariance.small_network import Network, audited, made
from tests.equivariance.symmetric import brute_force

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


def test_nothing_can_be_told_from_a_single_pixel() -> None:
    network, pixel = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten()), sample_images(4, 3, 1)
    judged = judge(network, "given", tensors, pixel, P4, fan_in=27, output=Invariant())
    assert (judged.verdict(P4), judged.problem) == ("unknown", "no element moves its one pixel")
    with pytest.raises(UserError, match="images of several pixels"):
        decide(network, pixel, P4, fan_in=27)
    with pytest.raises(UserError, match="no element moves a single pixel"):
        measure(network, pixel, P4.elements)


def test_maps_reduced_along_one_axis_move_under_half_turns_alone() -> None:
    class Rows(nn.Module):
        """The means of the columns, as a map of one row."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 1)

        def forward(self, images: Tensor) -> Tensor:
            mean: Tensor = self.conv(images).sigmoid().mean(2, keepdim=True)
            return mean

    def verdicts(group: Group) -> tuple[str, str]:
        found = exactness(made(Rows), sample_images(4, 3, 8), group, output=ScalarField())
        return found.certificate, found.decision

    assert verdicts(P4) == ("unknown", "approximate")
    assert verdicts(P2) == ("exact", "exact")
