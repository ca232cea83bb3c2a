"""A broken grid proves nothing where the symmetry is restored behind it, and measurement says which it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.equivariance.exactness import exactness
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.nn.fields import ScalarField, with_field
from gcnnbench.nn.groups import P4
from tests.equivariance.small_network import Network, audited, made
from tests.equivariance.symmetric import brute_force


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
