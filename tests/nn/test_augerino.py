"""Turned copies of a network, at fixed angles and at angles whose width is learnt."""

from __future__ import annotations

from math import pi, sin
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from gcnnbench.data.rotate import rotate
from gcnnbench.errors import UserError
from gcnnbench.nn.augerino import CIRCLE, Augerino, TurnedCopies, turned
from gcnnbench.nn.fields import Invariant
from gcnnbench.nn.groups import P4
from gcnnbench.rewriting.folded import for_scoring

BLACK = (-0.5,)


def base(size: int = 9) -> nn.Module:
    """A network without any symmetry."""
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * (size - 2) ** 2, 5))


def copies_of(network: nn.Module, **how: Any) -> TurnedCopies:
    return TurnedCopies(network, **{"width": CIRCLE, "copies": 8, "black": BLACK, **how}).eval()


def breaks(network: nn.Module, size: int = 9) -> float:
    """The largest change of the output under a quarter turn, over its deviation."""
    images = torch.randn(3, 1, size, size)
    with torch.no_grad():
        given, moved = network(images), network(P4.elements[1].act(images))
    return float((moved - given).abs().max() / given.std(0).max())


@pytest.mark.parametrize("size", [8, 9])
def test_turning_is_that_of_the_data(size: int) -> None:
    images, degrees = torch.randn(5, 2, size, size), torch.tensor([0.0, 13.0, 90.0, -200.0, 359.0])
    black = torch.tensor([0.3, -0.7])
    torch.testing.assert_close(turned(images, degrees.deg2rad(), black), rotate(images, degrees, black))
    assert torch.equal(turned(images, torch.zeros(()), black), images)


def test_what_stands_outside_is_black() -> None:
    """Planted: zeros, which are grey to a normalised image, would show in the corners."""
    corner = turned(torch.ones(1, 1, 9, 9), torch.tensor(pi / 4), torch.tensor(BLACK))[0, 0, 0, 0]
    assert corner.item() == BLACK[0]


def test_the_gradient_of_the_angle_is_that_of_finite_differences() -> None:
    images, black = torch.randn(2, 1, 7, 7), torch.tensor(BLACK)
    angle = torch.tensor([0.31, -1.2], requires_grad=True)
    assert torch.autograd.gradcheck(lambda angle: turned(images, angle, black), (angle,))


def test_the_gradient_of_the_width_is_that_of_finite_differences() -> None:
    network = Augerino(base(), width=0.7, reward=0.1, copies=4, black=BLACK)
    images, labels = torch.randn(6, 1, 9, 9), torch.tensor([0, 1, 2, 3, 4, 0])

    def loss() -> Tensor:
        torch.manual_seed(5)
        return cross_entropy(network(images), labels) + network.penalty()

    loss().backward()
    found = network.raw.grad
    with torch.no_grad():
        step = 1e-6
        network.raw.add_(step)
        above = loss()
        network.raw.sub_(2 * step)
        below = loss()
    assert found is not None
    assert found.item() == pytest.approx(((above - below) / (2 * step)).item(), rel=1e-5)


def test_a_width_of_zero_is_the_base_to_the_bit() -> None:
    network, images = base(), torch.randn(4, 1, 9, 9)
    assert torch.equal(copies_of(network, width=0.0)(images), log_softmax(network(images), 1))


@pytest.mark.parametrize("copies", [4, 8, 16])
def test_copies_around_the_circle_are_invariant_over_any_base(copies: int) -> None:
    assert breaks(copies_of(base(), copies=copies)) < 1e-12


@pytest.mark.parametrize(("width", "copies"), [(CIRCLE, 6), (CIRCLE / 2, 8), (CIRCLE / 57.3, 8), (1.0, 8)])
def test_other_copies_are_not(width: int, copies: int) -> None:
    """Six copies hold no quarter turn; half a circle, or degrees taken for radians, are no circle."""
    assert breaks(copies_of(base(), width=width, copies=copies)) > 0.1


def test_the_mean_over_the_copies_is_that_of_the_midpoint_rule() -> None:
    """`1/K Σ cos(u_k w) → sin(w/2) / (w/2)`, with an error of second order in 1/K."""
    found = {}
    for copies in (8, 16):
        angles = copies_of(base(), width=2.0, copies=copies).angles()
        found[copies] = sum(torch.tensor(angle).cos().item() for angle in angles) / copies - sin(1.0)
    assert abs(found[8]) < 3e-3
    assert found[8] / found[16] == pytest.approx(4, rel=0.02)


def test_nothing_is_drawn_in_evaluation() -> None:
    network, images = copies_of(base(), width=1.0), torch.randn(4, 1, 9, 9)
    first = network(images)
    assert torch.equal(network(images), first), "planted: random angles would differ"
    torch.testing.assert_close(network(images[2:]), first[2:], rtol=0, atol=1e-14)


def test_training_turns_each_image_within_the_width() -> None:
    seen = []

    class See(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(images)
            return images.flatten(1)

    network = TurnedCopies(See(), width=1.0, copies=1, black=(0.0,)).train()
    line = torch.zeros(200, 1, 33, 33)
    line[:, :, 16, 20:] = 1.0
    network(line)
    turned_line = seen[0][:, 0]
    rows = torch.arange(33) - 16.0
    heights = -(turned_line * rows[None, :, None]).sum((1, 2)) / (turned_line * rows[None, None, :]).sum((1, 2))
    angles = heights.atan()
    assert 0.45 < angles.max().item() <= 0.51
    assert -0.51 <= angles.min().item() < -0.45
    assert abs(angles.mean().item()) < 0.06


def test_the_reward_widens_and_labels_that_tell_the_pose_narrow() -> None:
    """Bars that lie or stand: a quarter of a circle mixes them up, a reward takes the width to the cap all the same."""

    def width_after(reward: float) -> float:
        torch.manual_seed(3)
        bars = torch.full((32, 1, 9, 9), BLACK[0])
        bars[::2, :, 4, 1:8], bars[1::2, :, 1:8, 4] = 1.0, 1.0
        labels = torch.arange(32) % 2
        network = Augerino(base(), width=2.5, reward=reward, copies=4, black=BLACK).train()
        optimiser = torch.optim.Adam(
            [{"params": network.base.parameters(), "lr": 0.01}, {"params": [network.raw], "lr": 0.05}]
        )
        for _ in range(60):
            optimiser.zero_grad()
            (cross_entropy(network(bars), labels) + network.penalty()).backward()
            optimiser.step()
        return network.width.item()

    assert width_after(0.0) < 2.2
    assert width_after(2.0) > 4.0


def test_from_the_cap_on_there_is_no_reward() -> None:
    network = Augerino(base(), width=7.0, reward=1.0, copies=4, black=BLACK)
    network.penalty().backward()
    assert network.penalty().item() == 0
    assert network.raw.grad is not None
    assert network.raw.grad.item() == 0


def test_the_symmetric_point_is_the_whole_circle() -> None:
    network = Augerino(base(), width=0.3, reward=1.0, copies=8, black=BLACK).eval()
    assert breaks(network) > 0.01
    network.symmetric()
    assert breaks(network) < 1e-12
    assert network.field == Invariant()


def test_scoring_folds_the_network_inside() -> None:
    from gcnnbench.architectures.mnist_study import p4cnn
    from gcnnbench.nn.convolution import GroupConv

    inner = p4cnn(GroupConv, group=P4, size=9, channels=1, classes=5, planes=2, dropout=0.3)
    network = copies_of(inner, width=1.0)
    folded, images = for_scoring(network), torch.randn(2, 1, 9, 9)
    assert "FoldedConv" in repr(folded)
    assert "FoldedConv" not in repr(network), "the trained network is left as it is"
    torch.testing.assert_close(folded(images), network(images))


@pytest.mark.parametrize(
    ("how", "match"),
    [({"width": -1.0}, r"width \(=-1.0\)"), ({"copies": 0}, r"copies \(=0\)"), ({"black": ()}, "for each channel")],
)
def test_what_does_not_fit_is_refused_by_name(how: dict[str, Any], match: str) -> None:
    with pytest.raises(UserError, match=match):
        copies_of(base(), **how)


def test_a_learnt_width_cannot_start_at_zero() -> None:
    with pytest.raises(UserError, match=r"width \(=0\) must be positive"):
        Augerino(base(), width=0, reward=0.1, copies=4, black=BLACK)
