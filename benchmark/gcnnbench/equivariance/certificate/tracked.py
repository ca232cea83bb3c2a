"""What a trace knows of a tensor – pixels, field, padding – and the kinds of findings that it notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

from gcnnbench.equivariance.certificate.axes import Dimensions
from gcnnbench.equivariance.certificate.grid import AxisSampling, Sampling
from gcnnbench.equivariance.certificate.lattice import WHOLE, Lattices
from gcnnbench.nn.fields import Field

PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "mv", "linear", "dot")
OWN_STATISTICS = ("native_group_norm", "native_layer_norm")
"""Norms that always take statistics of their input; batch norms do where their argument `training` says so."""


@dataclass(frozen=True)
class Remark:
    """What is said of one operation: the module it ran in, its name, and the sentence."""

    layer: str
    op: str
    why: str

    def __str__(self) -> str:
        return f"{self.layer}: {self.why} ({self.op})"


class Obstacle(Remark):
    """An operation after which the sampling grid can no longer be followed."""


class UnknownAction(Remark):
    """An operation that keeps the grid but is of no kind known to be equivariant."""


Finding = Sampling | Obstacle | UnknownAction


@dataclass(frozen=True)
class Side:
    """What was cropped from one side of an axis, and then padded there.

    Args:
        cropped: how many pixels were taken off.
        padded: for each pixel that stands there instead, from the inside, the number of the padding that put it there.
    """

    cropped: int = 0
    padded: tuple[int, ...] = ()

    @property
    def reach(self) -> int:
        """How far it reaches beyond the reference."""
        return len(self.padded) - self.cropped

    def extended(self, size: int, padding: int) -> Side:
        """With so many pixels more, of the padding of this number; with fewer where negative."""
        left = len(self.padded) + size
        if left < 0:
            return Side(self.cropped - left)
        return Side(self.cropped, self.padded[:left] + (padding,) * size)

    def agrees(self, other: Side) -> bool:
        """Whether the two hold the same as far as both reach."""
        together = zip(self.padded, other.padded, strict=False)
        bare = not (self.padded or other.padded)
        return all(a == b for a, b in together) and (bare or self.cropped == other.cropped)


@dataclass(frozen=True)
class Frame:
    """What was padded and cropped along one axis and is not judged yet.

    Padding more on one side is no fault in itself: the next strided operation may need exactly that.

    Args:
        before: what was done before the first pixel.
        behind: what was done behind the last one.
        constant: whether each padding is one number.
        circular: whether the last of them wraps round.
        layer: of the last of them.
        op: the last of them.
    """

    before: Side = Side()
    behind: Side = Side()
    constant: bool = True
    circular: bool = False
    layer: str = field(default="", compare=False)
    op: str = field(default="", compare=False)

    @property
    def cropped(self) -> bool:
        """Whether pixels were taken off."""
        return bool(self.before.cropped or self.behind.cropped)

    @property
    def lead(self) -> int:
        """How far it reaches beyond the reference before the first pixel."""
        return self.before.reach

    @property
    def trail(self) -> int:
        """How far it reaches beyond the reference behind the last pixel."""
        return self.behind.reach

    @property
    def even(self) -> bool:
        """Whether both sides hold the same."""
        return self.before == self.behind


STRAIGHT = (Frame(), Frame())


@dataclass(frozen=True)
class Tracked:
    """What is known of a tensor that comes from the image.

    Args:
        dimensions: where its pixels are; None where that is lost.
        field: how it transforms; None where that is not known.
        frames: along (y, x), padding and cropping that wait for their judgement.
        half: the reduction that has run along one of the two axes and waits for the other.
        sliced: the strided slice of one axis that waits for its twin: the bit of its finding, the axis, the sampling.
        past: the findings it depends on, as bits.
        lattices: where its pixels lie over the image, or lay before they were reduced.
        restorable: what may have made a broken grid good again, in words; None where nothing can have.
        pooled: the reductions over all pixels, `max` or `mean`, that may not tell where the windows of a pool lie.
        chosen: the adaptive samplings of a torus behind which it lies, by number: it is known up to a shift of its own,
            and features behind other ones are shifted otherwise.
    """

    dimensions: Dimensions | None
    field: Field | None
    frames: tuple[Frame, Frame] = STRAIGHT
    half: str | None = None
    sliced: tuple[int, int, AxisSampling] | None = None
    past: int = 0
    lattices: Lattices = WHOLE
    restorable: str | None = None
    pooled: frozenset[str] = frozenset()
    chosen: tuple[int, ...] = ()

    @property
    def wrapped(self) -> bool:
        """Whether its border repeats pixels of the other side."""
        return any(frame.circular for frame in self.frames)

    @property
    def uneven(self) -> bool:
        """Whether padding or cropping that is not the same on all four sides waits for its judgement."""
        y, x = self.frames
        return y != x or not y.even

    @property
    def agreeing(self) -> bool:
        """Whether all four sides hold the same as far as they reach."""
        sides = [side for frame in self.frames for side in (frame.before, frame.behind)]
        return all(side.agrees(other) for side, other in combinations(sides, 2))

    def framed_lattices(self, bit: int = 0) -> Lattices:
        """The lattices with its padding and cropping; `bit` stands for them where a lattice cannot hold them."""
        (rows, columns), (y, x) = self.lattices, self.frames
        return rows.framed(y.lead, y.trail, bit), columns.framed(x.lead, x.trail, bit)


def merged(states: Sequence[Tracked], where: str = "") -> Tracked:
    """What is left when tensors are joined and their pixels and fields are not looked at: everything they depend on.

    Args:
        states: of the tensors, at least one.
        where: they are joined, for texts.
    """
    past = 0
    for state in states:
        past |= state.past
    restorable = next((state.restorable for state in states if state.restorable), None)
    if restorable is None and any(state.lattices != states[0].lattices for state in states):
        restorable = f"{where} joins features that were sampled on different grids"
    chosen = next((state.chosen for state in states if state.chosen), ())
    pooled = frozenset.intersection(*(state.pooled for state in states))
    lattices = states[0].lattices
    return Tracked(None, None, past=past, lattices=lattices, restorable=restorable, pooled=pooled, chosen=chosen)


@dataclass(frozen=True)
class Call:
    """One operation: its name, its arguments by name, its output, and what it writes into.

    The name is torch's own without the underscore of in-place forms; of somebody else's operation it has its namespace.
    """

    name: str
    func: Any
    arguments: Mapping[str, Any]
    out: Any
    tracked: tuple[Tracked, ...]
    layer: str
    written: Sequence[Tensor] = ()

    @property
    def merged(self) -> Tracked:
        """All that its results depend on, without pixels or field."""
        return merged(self.tracked, f"{self.layer}: {self.name}")

    @property
    def additions(self) -> int:
        """How many products one entry of the output sums up, in a convolution, product, pool, reduction or norm."""
        weight = self.arguments.get("weight")
        if "convolution" in self.name and isinstance(weight, Tensor) and weight.ndim > 2:
            return weight.numel() // weight.shape[1 if self.arguments.get("transposed") else 0]
        given = [value for value in self.arguments.values() if isinstance(value, Tensor)]
        if self.name in PRODUCTS:
            return max(value.shape[-1] for value in given)
        outputs = [value.numel() for value in tree_leaves(self.out) if isinstance(value, Tensor)]
        if self.name in OWN_STATISTICS or ("batch_norm" in self.name and self.arguments.get("training")):
            outputs = outputs[1:2]  # the means, beside the features
        return max(1, max((value.numel() for value in given), default=1) // max(1, *outputs, 1))


@dataclass(frozen=True)
class Known:
    """What a module that is known to be equivariant does.

    Args:
        needs: the field of its input.
        gives: the field of its output.
        moving_grid: whether it samples on a grid that moves with the image, so that its own operations prove nothing.
        on_torus: whether that grid moves with circular shifts, too; then it is known up to a shift of its own.
    """

    needs: Field
    gives: Field
    moving_grid: bool = False
    on_torus: bool = False
