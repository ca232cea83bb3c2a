"""The finite groups that act exactly on the pixel grid: subgroups of D4, the symmetries of the square."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

from torch import Tensor

from gcnnbench.errors import UserError


@dataclass(frozen=True, order=True)
class Element:
    """An element of D4, `rotation^turns · mirror^mirrored`: first the left-right mirror, then quarter turns.

    Args:
        mirrored: 1 where the image is mirrored left to right, else 0.
        turns: quarter turns counter-clockwise, 0 to 3.
    """

    mirrored: int = 0
    turns: int = 0

    def __post_init__(self) -> None:
        if self.mirrored not in (0, 1) or self.turns not in range(4):
            raise ValueError(f"mirrored (={self.mirrored}) must be 0 or 1 and turns (={self.turns}) must be 0 to 3")

    @property
    def name(self) -> str:
        """`upright`, `rot90`, `rot180`, `rot270`, `mirror`, `mirror-rot90`, `mirror-rot180`, `mirror-rot270`."""
        turn = f"rot{90 * self.turns}" if self.turns else ""
        return "-".join(filter(None, ["mirror" if self.mirrored else "", turn])) or "upright"

    @property
    def inverse(self) -> Element:
        """The element that undoes this one; a mirrored element is its own inverse."""
        return Element(self.mirrored, self.turns if self.mirrored else -self.turns % 4)

    def __mul__(self, other: Element) -> Element:
        """The product `g·h` that acts as `h` first and `g` after it."""
        turned = -other.turns if self.mirrored else other.turns
        return Element((self.mirrored + other.mirrored) % 2, (self.turns + turned) % 4)

    def act(self, image: Tensor) -> Tensor:
        """Move the pixels, `[g f](x) = f(g⁻¹ x)`, exactly: every value is copied, none is interpolated.

        Args:
            image: any tensor whose last two axes are (…, height, width).

        Returns:
            A tensor with the axes (…, height, width), or (…, width, height) after an odd number of turns.
        """
        mirrored = image.flip(-1) if self.mirrored else image
        return mirrored.rot90(self.turns, (-2, -1)) if self.turns else mirrored


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


def _rotations(*turns: int, mirrored: int = 0) -> tuple[Element, ...]:
    return tuple(Element(mirrored, turn) for turn in turns)


TRIVIAL = Group("trivial", _rotations(0))
P2 = Group("p2", _rotations(0, 2))
PM = Group("pm", _rotations(0) + _rotations(0, mirrored=1))
P4 = Group("p4", _rotations(0, 1, 2, 3))
P4M = Group("p4m", _rotations(0, 1, 2, 3) + _rotations(0, 1, 2, 3, mirrored=1))

GROUPS = {group.name: group for group in (TRIVIAL, P2, PM, P4, P4M)}


def group(name: str) -> Group:
    """The group of that name.

    Raises:
        UserError: there is none of that name.
    """
    try:
        return GROUPS[name]
    except KeyError:
        raise UserError(f"unknown group {name!r}: one of {', '.join(GROUPS)}") from None
