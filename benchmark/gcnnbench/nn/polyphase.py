"""Adaptive polyphase sampling on a torus, and its inverse: exact under circular shifts and quarter turns together.

Every second row and column of an even torus form four polyphase components. A circular shift or a quarter turn of the
input exchanges them, and moves what stands in each by a whole step of the coarse grid. So the component of the largest
norm, taken over positions, channels and the group at once, is the old one, moved. By how much depends on the features:
the coarse features are equivariant up to a circular shift of their own, and what follows must not mind, as circular
convolutions and global pooling do not. `adaptive_polyphase_upsampling` puts the features back at the positions from
which they came, so that behind it the action is the input's again.

Chaman & Dokmanić 2021 (arXiv 2011.14214) for sampling and 2021 (arXiv 2105.04040) for upsampling, under shifts; Xu et
al. 2021 (arXiv 2106.05886) for the group that shifts and turns make. Here one rule serves all, for norms change under
neither.

**Ties** go to the first component. Components that tie because the image has a symmetry hold the same features, moved,
so that an invariant output does not depend on which is taken. (Their mean, as `gcnnbench.nn.subsampling` takes it, is
symmetric about the centre of the image, and so changes under shifts.) Features put back by upsampling do depend on it:
of images that are their own copies, shifted by an odd number of pixels or turned, a dense output is not equivariant.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle

from gcnnbench.errors import UserError
from gcnnbench.nn.fields import Field, feature_field
from gcnnbench.nn.groups import Group
from gcnnbench.nn.subsampling import PHASES, phase_norms, polyphase_components


def adaptive_polyphase_sampling(features: Tensor) -> tuple[Tensor, Tensor]:
    """Of each image the polyphase component of the largest norm, and which one it is.

    Args:
        features: (batch, channels, height, width), height and width even.

    Returns:
        The component (batch, channels, height/2, width/2), and its place in `PHASES`, (batch,).

    Raises:
        UserError: a length is odd: on a circle of odd length every second pixel is no regular grid.
    """
    height, width = features.shape[-2:]
    if height % 2 or width % 2:
        raise UserError(
            f"adaptive polyphase sampling needs an even height and width, got {height}×{width}: "
            "an odd circle has no grid of every second pixel"
        )
    components = polyphase_components(features)
    with torch.no_grad():
        phase = phase_norms(components).argmax(1)
    chosen = phase[:, None, None, None]
    upper = torch.where(chosen == 0, components[0], components[1])
    lower = torch.where(chosen == 2, components[2], components[3])
    return torch.where(chosen < 2, upper, lower), phase


def adaptive_polyphase_upsampling(features: Tensor, phase: Tensor) -> Tensor:
    """Features at the positions of their polyphase component, zeros elsewhere: the inverse of the sampling.

    Sampling what it gives gives the features back, bit for bit.

    Args:
        features: (batch, channels, height, width).
        phase: of the sampling, (batch,).

    Returns:
        (batch, channels, 2·height, 2·width).

    Raises:
        UserError: there is not one phase for each image.
    """
    if phase.shape != features.shape[:1]:
        raise UserError(f"phase {tuple(phase.shape)} must hold one number for each image, {len(features)} in all")
    places = torch.arange(len(PHASES), device=phase.device)
    kept = (phase[:, None] == places)[:, None, :, None, None]
    return pixel_shuffle(torch.where(kept, features[:, :, None], 0).flatten(1, 2), 2)


class AdaptivePolyphaseSampling(nn.Module):
    """The layer of `adaptive_polyphase_sampling`, for networks that need no upsampling.

    Args:
        group: the group of the features, which the layer keeps.
    """

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.group = group
        self.field: Field = feature_field(group)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, channels·group, height, width) -> (batch, channels·group, height/2, width/2)."""
        return adaptive_polyphase_sampling(features)[0]

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"group={self.group.name}"
