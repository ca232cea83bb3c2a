"""What is known of a tensor that comes from the image, and what a forward pass can find."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.equivariance.axes import Dimensions
from benchmark.equivariance.grid import AxisSampling, Sampling
from benchmark.nn.fields import Field


@dataclass(frozen=True)
class Obstacle:
    """An operation after which the sampling grid can no longer be followed."""

    layer: str
    op: str
    why: str

    def __str__(self) -> str:
        return f"{self.layer}: {self.why} ({self.op})"


@dataclass(frozen=True)
class Stranger:
    """An operation that keeps the grid but is of no kind known to be equivariant."""

    layer: str
    op: str
    why: str

    def __str__(self) -> str:
        return f"{self.layer}: {self.why} ({self.op})"


Finding = Sampling | Obstacle | Stranger


@dataclass(frozen=True)
class Frame:
    """How far a tensor reaches beyond its reference along one axis, after padding or cropping nobody has judged yet.

    Padding more on one side is no fault in itself: the next strided operation may need exactly that.
    """

    lead: int = 0
    trail: int = 0
    constant: bool = True
    layer: str = ""
    op: str = ""


@dataclass(frozen=True)
class Tracked:
    """What is known of a tensor that comes from the image.

    Args:
        dimensions: where its pixels are; None where that is lost.
        field: how it transforms; None where nobody can vouch for it.
        frames: along (y, x), padding that waits for its judgement.
        half: the reduction that has run along one of the two axes and waits for the other.
        sliced: the strided slice of one axis that waits for its twin: the bit of its finding, the axis, the sampling.
        past: the findings it depends on, as bits.
    """

    dimensions: Dimensions | None
    field: Field | None
    frames: tuple[Frame, Frame] = (Frame(), Frame())
    half: str | None = None
    sliced: tuple[int, int, AxisSampling] | None = None
    past: int = 0

    @property
    def crooked(self) -> bool:
        """Whether padding on one side waits for its judgement."""
        return any(frame.lead != frame.trail for frame in self.frames)


@dataclass(frozen=True)
class Call:
    """One operation: its name without the underscore of in-place forms, its arguments by name, its output."""

    name: str
    func: Any
    arguments: Mapping[str, Any]
    out: Any
    tracked: tuple[Tracked, ...]
    layer: str


@dataclass(frozen=True)
class Known:
    """What a module that is known to be equivariant does.

    Args:
        needs: the field of its input.
        gives: the field of its output.
        moving_grid: whether it samples on a grid that moves with the image, so that its own operations prove nothing.
    """

    needs: Field
    gives: Field
    moving_grid: bool = False
