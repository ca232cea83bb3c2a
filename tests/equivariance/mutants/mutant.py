"""What a mutant is: a small network with one change, and the moves of the square that leave its answer alone."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from gcnnbench.nn.groups import P2, P4, P4M, PM, Element, Group

Moves = frozenset[Element]
"""The moves under which a network is exact, as far as p2, pm, p4 and p4m tell them apart."""

ALL: Moves = frozenset(P4M.elements)
TURNS: Moves = frozenset(P4.elements)
HALF: Moves = frozenset(P2.elements)
MIRROR: Moves = frozenset(PM.elements)
UPRIGHT: Moves = frozenset({*P2.elements, Element(1, 0), Element(1, 2)})
"""Half turns and both upright mirrors: what treats rows and columns apart may still be exact under these."""
NONE: Moves = frozenset({Element()})

SMALLER = (P4, P2, PM)


@dataclass(frozen=True)
class Mutant:
    """A network with one change, judged under one group at one size.

    Args:
        kind: of the change.
        name: of the change, and what was changed.
        make: the network; use `built`, so that it is the same each time.
        size: height and width of the images.
        group: it is judged under.
        exact: whether it is exact by construction; None where only brute force knows.
        answerable: whether there is an answer at all: not for outputs that are random, constant or not finite.
    """

    kind: str
    name: str
    make: Callable[[], nn.Module]
    size: int
    group: Group = P4
    exact: bool | None = None
    answerable: bool = True

    def __str__(self) -> str:
        return f"{self.kind}: {self.name} at {self.size} under {self.group.name}"

    def built(self) -> nn.Module:
        """The network, the same in every call; torch's generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(zlib.crc32(f"{self.name} at {self.size}".encode()))
            return self.make()


def judged(
    kind: str, name: str, make: Callable[[], nn.Module], size: int, moves: Moves | None, own: Group
) -> Iterable[Mutant]:
    """The mutants of one network: under its own group, and where it keeps a part of it, under the largest such part."""
    groups = [own]
    if moves is not None and not set(own.elements) <= moves:
        groups += [group for group in SMALLER if set(group.elements) <= moves][:1]
    for group in groups:
        yield Mutant(kind, name, make, size, group, None if moves is None else set(group.elements) <= moves)


@dataclass(frozen=True)
class Change:
    """A change that fits several networks: another layer in one place.

    Args:
        name: what is changed.
        make: the layer, from the channels and the size of what it is given.
        moves: under which it is exact, by construction; None where only brute force knows.
        size: height and width of the images.
        place: the layer that it takes the place of.
    """

    name: str
    make: Callable[[int, int], nn.Module]
    moves: Moves | None
    size: int = 10
    place: str = "middle"
