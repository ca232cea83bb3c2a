"""The groups that act exactly on the pixel grid: subgroups of D4, the symmetries of the square, and circular shifts.

Fibres and filters have a `Group`, a subgroup of D4. What acts on images may be a `ShiftGroup` as well: on a torus of
n × n pixels circular shifts form Z_n², and with a subgroup H of D4 the semidirect product Z_n² ⋊ H.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Protocol

from torch import Tensor

from gcnnbench.errors import UserError


@dataclass(frozen=True, order=True)
class Element:
    """`shift · rotation^turns · mirror^mirrored`: first the left-right mirror, then the turns, then a circular shift.

    Args:
        mirrored: 1 where the image is mirrored left to right, else 0.
        turns: quarter turns counter-clockwise, 0 to 3.
        shift: pixels downwards and to the right, of an image that closes to a torus; (0, 0) for an element of D4.
    """

    mirrored: int = 0
    turns: int = 0
    shift: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if self.mirrored not in (0, 1) or self.turns not in range(4):
            raise ValueError(f"mirrored (={self.mirrored}) must be 0 or 1 and turns (={self.turns}) must be 0 to 3")

    @property
    def name(self) -> str:
        """`upright`, or what is done in its order, as `mirror-rot270` or `rot90-shift-2-5`: 2 pixels down, 5 right."""
        turn = f"rot{90 * self.turns}" if self.turns else ""
        shift = "shift-{}-{}".format(*self.shift) if self.shifts else ""
        return "-".join(filter(None, ["mirror" if self.mirrored else "", turn, shift])) or "upright"

    @property
    def shifts(self) -> bool:
        """Whether it shifts the image."""
        return self.shift != (0, 0)

    @property
    def point(self) -> Element:
        """Its part in D4, without the shift."""
        return replace(self, shift=(0, 0))

    @property
    def inverse(self) -> Element:
        """The element that undoes this one; a mirrored element of D4 is its own inverse."""
        point = Element(self.mirrored, self.turns if self.mirrored else -self.turns % 4)
        down, right = point._moved(self.shift)
        return replace(point, shift=(-down, -right))

    def __mul__(self, other: Element) -> Element:
        """The product `g·h` that acts as `h` first and `g` after it."""
        turned = -other.turns if self.mirrored else other.turns
        down, right = self._moved(other.shift)
        shift = (self.shift[0] + down, self.shift[1] + right)
        return Element((self.mirrored + other.mirrored) % 2, (self.turns + turned) % 4, shift)

    def _moved(self, shift: tuple[int, int]) -> tuple[int, int]:
        """The shift `g·t·g⁻¹`: the vector t, mirrored and turned as pixels are."""
        down, right = shift[0], -shift[1] if self.mirrored else shift[1]
        for _ in range(self.turns):
            down, right = -right, down
        return down, right

    def act(self, image: Tensor) -> Tensor:
        """Move the pixels, `[g f](x) = f(g⁻¹ x)`, exactly: every value is copied, none is interpolated.

        Args:
            image: any tensor whose last two axes are (…, height, width).

        Returns:
            A tensor with the axes (…, height, width), or (…, width, height) after an odd number of turns.
        """
        mirrored = image.flip(-1) if self.mirrored else image
        turned = mirrored.rot90(self.turns, (-2, -1)) if self.turns else mirrored
        return turned.roll(self.shift, (-2, -1)) if self.shifts else turned


@dataclass(frozen=True)
class Group:
    """A subgroup of D4. Its elements are ordered, the identity first; that order is the group axis of every tensor.

    Raises:
        ValueError: the elements do not form a group (no identity, a product or an inverse is missing).
    """

    name: str
    elements: tuple[Element, ...]

    def __post_init__(self) -> None:
        members = set(self.elements)
        if not self.elements or self.elements[0] != Element():
            raise ValueError(f"group {self.name}: the first element must be the identity")
        if len(members) != len(self.elements):
            raise ValueError(f"group {self.name}: an element stands twice")
        for g, h in product(self.elements, repeat=2):
            if g * h not in members:
                raise ValueError(f"group {self.name}: {g.name} · {h.name} = {(g * h).name} is missing")
        for g in self.elements:
            if g.inverse not in members or g * g.inverse != Element():
                raise ValueError(f"group {self.name}: {g.name} has no inverse")

    def __len__(self) -> int:
        return len(self.elements)

    def index(self, element: Element) -> int:
        """The position of an element on the group axis."""
        return self._positions[element]

    def __contains__(self, element: object) -> bool:
        return element in self._positions

    @property
    def point(self) -> Group:
        """The group itself; of a `ShiftGroup` its part in D4."""
        return self

    @cached_property
    def generators(self) -> tuple[Element, ...]:
        """The first elements, in order, that make all the others by products: of p4 the quarter turn."""
        found: list[Element] = []
        made = {Element()}
        for element in self.elements:
            if element not in made:
                found.append(element)
                while further := {g * h for g in made for h in (*made, *found)} - made:
                    made |= further
        return tuple(found)

    @cached_property
    def _positions(self) -> dict[Element, int]:
        return {element: position for position, element in enumerate(self.elements)}


@dataclass(frozen=True)
class ShiftGroup:
    """Circular shifts and the elements of a group H at once: the semidirect product Z_n² ⋊ H on images of n × n pixels.

    It has n²·|H| elements. `elements` are those by which it is judged and scored: H, the shifts by one pixel that make
    all others, longer ones along both axes, and shifts after turns, most of them not their own inverses. A network that
    is equivariant under these on every image is so under all.

    Args:
        name: of the group.
        point: H.
    """

    name: str
    point: Group

    @property
    def elements(self) -> tuple[Element, ...]:
        """H, then `SHIFTS`, then each element of H but the identity followed by two of these shifts."""
        shifts = tuple(Element(shift=shift) for shift in SHIFTS)
        turned = [(h, 2 * number) for number, h in enumerate(self.point.elements[1:])]
        both = tuple(shifts[(place + step) % len(shifts)] * h for h, place in turned for step in (0, 1))
        return (*self.point.elements, *shifts, *both)

    def __len__(self) -> int:
        return len(self.elements)


class ActingGroup(Protocol):
    """A group that acts on images: a `Group` or a `ShiftGroup`."""

    @property
    def name(self) -> str:
        """How cards and verbs call it."""
        ...

    @property
    def elements(self) -> tuple[Element, ...]:
        """Those that are tried, the identity first."""
        ...

    @property
    def point(self) -> Group:
        """Its part in D4."""
        ...

    def __len__(self) -> int: ...


SHIFTS = ((0, 1), (1, 0), (1, 1), (0, 2), (3, 0), (2, 5), (6, 3), (7, 4))
"""Pixels downwards and to the right: of every remainder by 2 and by 4, and beyond the border of a digit."""


def _rotations(*turns: int, mirrored: int = 0) -> tuple[Element, ...]:
    return tuple(Element(mirrored, turn) for turn in turns)


TRIVIAL = Group("trivial", _rotations(0))
P2 = Group("p2", _rotations(0, 2))
PM = Group("pm", _rotations(0) + _rotations(0, mirrored=1))
P4 = Group("p4", _rotations(0, 1, 2, 3))
P4M = Group("p4m", _rotations(0, 1, 2, 3) + _rotations(0, 1, 2, 3, mirrored=1))

CIRCULAR_SHIFTS = ShiftGroup("shifts", TRIVIAL)
CIRCULAR_SHIFTS_P4 = ShiftGroup("shifts-p4", P4)

GROUPS = {group.name: group for group in (TRIVIAL, P2, PM, P4, P4M)}
ACTING_GROUPS: dict[str, ActingGroup] = {**GROUPS, **{one.name: one for one in (CIRCULAR_SHIFTS, CIRCULAR_SHIFTS_P4)}}


def group(name: str) -> ActingGroup:
    """The group of that name, as it acts on images.

    Raises:
        UserError: there is none of that name.
    """
    try:
        return ACTING_GROUPS[name]
    except KeyError:
        raise UserError(f"unknown group {name!r}: one of {', '.join(ACTING_GROUPS)}") from None
