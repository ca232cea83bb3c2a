"""Equivariance measurements in the form that records and audits keep, and their change over training."""

from __future__ import annotations

from typing import Literal

from gcnnbench.cards.base import Model
from gcnnbench.cards.values import NotNegative, OutsideLine, Positive, Share

GridVerdict = Literal["symmetric", "broken", "unknown"]
CertificateVerdict = Literal["exact", "approximate", "unknown", "none"]
DecisionVerdict = Literal["exact", "approximate", "unknown"]


class DepthError(Model):
    """The equivariance error at one depth, over the fixed images; `null` where it is not defined.

    `paper`: the sum over the group's elements g of mean |g f(x) − f(g x)| (Edixhoven et al. 2023).
    `relative`: the root mean square of g f(x) − f(g x) over that of f(x), comparable between layers and networks.
    """

    depth: OutsideLine
    paper: NotNegative | None
    relative: NotNegative | None


class EquivarianceState(Model):
    """Equivariance errors of one state of the network, in the arithmetic named by `dtype`.

    `invariance_error` is the relative form at the logits, with f(x) centred over the images, and `null` where all
    images give the same logits; `flips` the share of (image, element) pairs whose predicted class is not the upright
    one.
    """

    depths: tuple[DepthError, ...]
    invariance_error: NotNegative | None
    flips: Share
    dtype: Literal["float64", "float32"]


def relaxation(before: EquivarianceState, after: EquivarianceState) -> dict[str, float | None]:
    """The change of the relative equivariance error over training, at each depth and at the `logits`."""
    early, late = (
        {depth.depth: depth.relative for depth in state.depths} | {"logits": state.invariance_error}
        for state in (before, after)
    )
    changes = {}
    for name in (name for name in late if name in early):
        then, now = early[name], late[name]
        changes[name] = None if then is None or now is None else now - then
    return changes


class Exactness(Model):
    """Exact or approximate: what the sampling grid says, what measurement says, and the first layer that breaks.

    `error` is the largest relative error of the decision, over depths, output, elements and states of the network;
    `nearest_exact_sizes` the nearest input sizes on whose grids nothing breaks, this one where it is one of them.
    """

    grid: GridVerdict
    certificate: CertificateVerdict
    decision: DecisionVerdict
    first_break: OutsideLine | None
    error: NotNegative | None
    nearest_exact_sizes: tuple[Positive, ...]
    reason: OutsideLine | None
