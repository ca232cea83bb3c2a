"""Where the entries of a feature map lie over the image: how far the sampling so far has moved them off its centre.

A sampling grid that is not symmetric moves the centre of the map. A later crop, a second such grid or a join with a
map that was moved the other way may move it back, so that a broken grid alone proves nothing of the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from gcnnbench.equivariance.certificate.grid import AxisSampling, reversals
from gcnnbench.nn.groups import Element


@dataclass(frozen=True)
class Lattice:
    """The places of a map's entries along one axis: entry j of n lies at `centre + step·(j − (n − 1)/2)`.

    Args:
        centre: of the map, in input pixels from the centre of the image.
        step: of neighbouring entries, in input pixels; None where it is not uniform or not known.
        unknown: the samplings, as bits, that moved the centre by an amount that is not known.
    """

    centre: Fraction = Fraction(0)
    step: Fraction | None = Fraction(1)
    unknown: int = 0

    @property
    def centred(self) -> bool:
        """Whether it lies symmetrically over the image."""
        return not self.centre and not self.unknown

    def sampled(self, axis: AxisSampling, bit: int = 0) -> Lattice:
        """Behind an operation that samples this axis.

        Args:
            axis: how.
            bit: of the sampling.
        """
        if self.step is None:
            return replace(self, unknown=self.unknown | (0 if axis.symmetric else bit))
        step = self.step / axis.stride if axis.transposed else self.step * axis.stride
        moved = step * axis.overhang if axis.transposed else -self.step * axis.overhang
        return replace(self, centre=self.centre + moved / 2, step=step)

    def framed(self, lead: int, trail: int, bit: int = 0) -> Lattice:
        """With so many more entries before the first and behind the last; fewer where negative."""
        if self.step is None:
            return replace(self, unknown=self.unknown | (bit if lead != trail else 0))
        return replace(self, centre=self.centre + self.step * (trail - lead) / 2)

    def resized(self, old: int, new: int, *, symmetric: bool, bit: int = 0) -> Lattice:
        """Behind an interpolation or adaptive pooling from one length to another."""
        even = self.step is not None and (old % new == 0 or new % old == 0)
        step = self.step * Fraction(old, new) if even and self.step is not None else None
        return replace(self, step=step, unknown=self.unknown | (0 if symmetric else bit))


Lattices = tuple[Lattice, Lattice]
"""Along the rows' index y and the columns' index x."""

WHOLE: Lattices = (Lattice(), Lattice())


def off_centre(lattices: Lattices, elements: Sequence[Element]) -> bool:
    """Whether one of these elements moves the lattice onto other places than its own."""
    y, x = lattices
    back = [reversals(element) for element in elements]
    if any(rows for rows, _ in back) and not y.centred:
        return True
    if any(columns for _, columns in back) and not x.centred:
        return True
    return any(element.turns % 2 for element in elements) and y != x
