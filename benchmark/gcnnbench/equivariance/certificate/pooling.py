"""Windows and the reductions that they are part of: what a maximum of maxima, or a mean of means, still tells of them.

A pool whose windows lie off the centre proves nothing where the same reduction over all pixels follows: the maximum of
maxima depends on which pixels are covered, the mean of means on how often each is, neither on where the windows lie.
Where every entry still comes from one pixel, no reduction over all of them tells where they lie.
"""

from __future__ import annotations

from dataclasses import replace

from gcnnbench.equivariance.certificate.grid import Sampling
from gcnnbench.equivariance.certificate.tracked import Call, Tracked

MAXIMUM, MEAN, ENTRIES = frozenset({"max"}), frozenset({"mean"}), frozenset({"entries"})
NEITHER = frozenset[str]()
EXTREMA = ("amax", "amin", "max", "min", "any", "all")
KINDS = {
    **dict.fromkeys(EXTREMA, MAXIMUM | ENTRIES),
    **dict.fromkeys(("mean", "sum"), MEAN | ENTRIES),
    **dict.fromkeys(("norm", "linalg_vector_norm"), MAXIMUM | MEAN | ENTRIES),
    **dict.fromkeys(("std", "var", "var_mean", "logsumexp", "prod"), ENTRIES),
}
"""What a reduction over all pixels may be: of maxima, of means, or of single entries whatever it does with them.

A norm is the sum or the maximum of what is not negative.
"""


def kind_of_pool(name: str) -> frozenset[str]:
    """The reduction that a pool or a resizing is part of; pixels that are only repeated change no maximum."""
    return MAXIMUM if "max" in name or "nearest" in name else MEAN if "avg" in name else NEITHER


def over_all(kind: frozenset[str]) -> frozenset[str]:
    """The kind of a reduction over all pixels that is done by one window of this kind."""
    return kind | ENTRIES if kind else NEITHER


def pooled(state: Tracked, sampling: Sampling, kind: frozenset[str]) -> frozenset[str]:
    """The reductions over all pixels that may not tell where windows lie, behind a sampling.

    Args:
        state: before it.
        sampling: the windows'.
        kind: the reductions that they are part of.
    """
    regular = all(sampling.symmetric) and sampling.turns is not False
    return state.pooled & kind if regular else kind


def behind(state: Tracked, sampling: Sampling, bit: int, kind: frozenset[str]) -> Tracked:
    """What is known behind windows of one of these kinds, whose sampling is noted as this bit."""
    y, x = state.lattices
    lattices = y.sampled(sampling.rows, bit), x.sampled(sampling.columns, bit)
    return replace(state, past=state.past | bit, lattices=lattices, pooled=pooled(state, sampling, kind))


def reduced(state: Tracked, call: Call, kind: frozenset[str]) -> Tracked:
    """What is known behind a reduction over all pixels, or all along one axis, of one of these kinds."""
    if not state.pooled & kind:
        return state
    why = f"{call.layer}: {call.name} over all pixels may not tell where the windows before it lie"
    return replace(state, restorable=state.restorable or why)
