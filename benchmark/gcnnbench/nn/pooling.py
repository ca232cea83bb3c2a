"""Pooling over the group; pooling over pixels is PyTorch's own, for a regular field is only more channels to it."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from gcnnbench.errors import UserError
from gcnnbench.nn.fields import Field, ScalarField
from gcnnbench.nn.groups import Group


def coset_pool(features: Tensor, order: int, how: Literal["max", "mean"] = "max") -> Tensor:
    """Coset pooling, `y[c](x) = max_h f[c, h](x)` or the mean over h.

    Args:
        features: (batch, channels·group, …).
        order: the number of group elements.
        how: the maximum or the mean.

    Returns:
        (batch, channels, …).
    """
    by_group: Tensor = features.unflatten(1, (-1, order))
    return by_group.amax(2) if how == "max" else by_group.mean(2)


class CosetPool(nn.Module):
    """Coset pooling: from a regular field to a scalar one, by the maximum or the mean over the group.

    Cohen & Welling 2016 (arXiv 1602.07576), section 6.3, with the whole group as the only coset.

    Args:
        group: the group of the features.
        how: `max` or `mean`.

    Raises:
        UserError: `how` is neither.
    """

    def __init__(self, group: Group, how: Literal["max", "mean"] = "max") -> None:
        super().__init__()
        if how not in ("max", "mean"):
            raise UserError(f"how (={how!r}) must be 'max' or 'mean'")
        self.group = group
        self.how: Literal["max", "mean"] = how
        self.field: Field = ScalarField()

    def forward(self, features: Tensor) -> Tensor:
        """(batch, channels·group, …) -> (batch, channels, …)."""
        return coset_pool(features, len(self.group), self.how)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"group={self.group.name}, how={self.how!r}"


class GlobalMaxPool(nn.Module):
    """The maximum over all pixels: (batch, channels, height, width) to (batch, channels, 1, 1).

    Pixels that tie for the maximum share its gradient evenly. `nn.AdaptiveMaxPool2d(1)` gives it to one of them, by
    additions whose order a GPU does not fix, so that deterministic training there refuses it.
    """

    def forward(self, features: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, channels, 1, 1)."""
        return features.amax((-2, -1), keepdim=True)
