"""Equivariant subsampling: where no sampling grid is symmetric, the features themselves choose among the grids."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from gcnnbench.nn.fields import Field, feature_field
from gcnnbench.nn.groups import Group

TIE = 1e-6
"""Relative distance from the largest norm within which phases are tied; far above rounding, far below real gaps."""
ROUNDINGS = 8
"""How many roundings of its own each feature may carry."""

PHASES = ((0, 0), (0, 1), (1, 0), (1, 1))
"""The (row, column) at which a grid of stride two can start."""


def strongest_phase(phases: Sequence[Tensor]) -> Tensor:
    """For each image the one of these features whose norm `‖f‖ = √Σ f[c](r, s)²` is the largest.

    Quarter turns and mirrors of the input permute the phases and turn or mirror the features in each, which leaves
    the norm as it is; so the result is the old one, turned or mirrored, index by index.

    **Tie rule**: phases whose norm lies within a tolerance of the largest are averaged. Features that are symmetric
    themselves leave no equivariant choice of one; so the layer is exact for them too. Norms are summed in float64 where
    the device has it: in float32 the sum of tied phases depends on the order of their terms by more than the tolerance
    (1e-5 at 512 channels of 112 × 112). What is left is the rounding of the features themselves, eight times the
    arithmetic's ε, which averages out over n of them: the tolerance is max(10⁻⁶, 8ε / √n).

    Args:
        phases: features (batch, channels, height, width), one for each sampling phase, all of one shape.

    Returns:
        (batch, channels, height, width).
    """
    with torch.no_grad():
        norms = phase_norms(phases)
        rounding: float = ROUNDINGS * torch.finfo(phases[0].dtype).eps / phases[0].shape[1:].numel() ** 0.5
        tied = norms >= norms.amax(1, keepdim=True) * (1 - max(TIE, rounding))
        weights = (tied / tied.sum(1, keepdim=True)).to(phases[0].dtype)
    parts = [features * weights[:, phase, None, None, None] for phase, features in enumerate(phases)]
    return (parts[0] + parts[3]) + (parts[1] + parts[2])


def polyphase_components(features: Tensor) -> list[Tensor]:
    """The four parts of (…, height, width) that hold every second row and column, in the order of `PHASES`; views."""
    return [features[..., row::2, column::2] for row, column in PHASES]


def phase_norms(phases: Sequence[Tensor]) -> Tensor:
    """The norm of each image's features in each phase, (batch, phases), in float64 where the device has it."""
    wide = torch.float32 if phases[0].device.type == "mps" else torch.float64
    squares = [features.square().sum((1, 2, 3), dtype=wide) for features in phases]
    return torch.stack(squares, 1).sqrt()


def equivariant_subsample(features: Tensor) -> Tensor:
    """Every second row and column, on a grid that moves with the features.

    An odd size has a symmetric grid, 0, 2, …, n − 1, and that one is taken. An even size n has the grids 0, 2, …, n − 2
    and 1, 3, …, n − 1 along each axis, which a half turn exchanges: `strongest_phase` chooses among the four.

    The largest norm of a polyphase component is the rule of adaptive polyphase sampling (Chaman & Dokmanić 2021, arXiv
    2011.14214), made for shifts; group equivariant subsampling (Xu et al. 2021, arXiv 2106.05886) is the general
    construction, here for turns and mirrors about the image's centre. Xu et al. take the phase of the location of the
    largest norm; the norm of a whole phase has no ties between neighbours and serves pooled features, whose maximum
    stands in every phase. What is exact under circular shifts, too, is in `gcnnbench.nn.polyphase`.

    Args:
        features: (batch, channels, height, width), height and width both even or both odd.

    Returns:
        (batch, channels, ⌈height/2⌉, ⌈width/2⌉).
    """
    if features.shape[-1] % 2:
        return features[..., ::2, ::2]
    return strongest_phase(polyphase_components(features))


def equivariant_max_pool(features: Tensor) -> Tensor:
    """2×2 max-pooling with stride 2 that is exact under quarter turns and mirrors at every size.

    At even sizes it is ordinary max-pooling, whose grid is symmetric. At odd sizes windows that start at −1 or at 0
    along each axis cover every pixel once, one row and one column of them half outside; `strongest_phase` chooses
    among the four. It is `equivariant_subsample` of the max-pooling with all windows.

    Args:
        features: (batch, channels, size, size).

    Returns:
        (batch, channels, ⌈size/2⌉, ⌈size/2⌉).
    """
    if features.shape[-1] % 2 == 0:
        return max_pool2d(features, 2)
    return strongest_phase(
        [max_pool2d(features, 2, padding=(1 - row, 1 - column), ceil_mode=True) for row, column in PHASES]
    )


class _Halving(nn.Module):
    """A layer that halves the size of features and keeps their group."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.group = group
        self.field: Field = feature_field(group)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"group={self.group.name}"


class EquivariantMaxPool(_Halving):
    """The layer of `equivariant_max_pool`: (batch, channels·group, size, size) to half the size, rounded up.

    Args:
        group: the group of the features, which the layer keeps.
    """

    def forward(self, features: Tensor) -> Tensor:
        """(batch, channels·group, size, size) -> (batch, channels·group, ⌈size/2⌉, ⌈size/2⌉)."""
        return equivariant_max_pool(features)


class EquivariantSubsample(_Halving):
    """The layer of `equivariant_subsample`, as after a convolution with stride 1 in place of stride 2.

    Args:
        group: the group of the features, which the layer keeps.
    """

    def forward(self, features: Tensor) -> Tensor:
        """(batch, channels·group, size, size) -> (batch, channels·group, ⌈size/2⌉, ⌈size/2⌉)."""
        return equivariant_subsample(features)
