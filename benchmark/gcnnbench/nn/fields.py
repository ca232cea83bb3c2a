"""How a group acts on what a layer puts out: invariants, scalar fields and regular fields.

A layer whose output transforms in a known way says so in an attribute `field`; the audit reads it from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from torch import Tensor, nn

from gcnnbench.nn.groups import Element, Group


def moved_pixels(features: Tensor, element: Element) -> Tensor:
    """Features (batch, channels, height, width) with their pixels moved; vectors (batch, channels) have none."""
    return features if features.ndim == 2 else element.act(features)


@runtime_checkable
class Field(Protocol):
    """How features transform when the image is transformed: maps (batch, channels, height, width), or vectors."""

    def knows(self, element: Element, /) -> bool:
        """Whether the action of this element is defined."""
        ...

    def act(self, features: Tensor, element: Element, /) -> Tensor:
        """The transformed features, by index-exact moves only."""
        ...


@dataclass(frozen=True)
class Invariant:
    """Features (batch, channels) that no element changes: logits."""

    def knows(self, _element: Element, /) -> bool:
        """Every element is known."""
        return True

    def act(self, features: Tensor, _element: Element, /) -> Tensor:
        """The features as they are."""
        return features


@dataclass(frozen=True)
class ScalarField:
    """Features (batch, channels, …) that only move with the pixels: images, ordinary feature maps; vectors stay."""

    def knows(self, _element: Element, /) -> bool:
        """Every element is known."""
        return True

    def act(self, features: Tensor, element: Element, /) -> Tensor:
        """The pixels moved, the channels as they are."""
        return moved_pixels(features, element)


@dataclass(frozen=True)
class RegularField:
    """Features (batch, channels·group, height, width): `[g f](x, h) = f(g⁻¹ x, g⁻¹ h)`; as vectors `f(g⁻¹ h)`.

    Channels are the outer and group elements the inner part of the second axis.
    """

    group: Group

    def knows(self, element: Element, /) -> bool:
        """The elements of the group are known, with any shift."""
        return element.point in self.group

    def act(self, features: Tensor, element: Element, /) -> Tensor:
        """The pixels moved and the group axis permuted."""
        fibre = [self.group.index(element.point.inverse * h) for h in self.group.elements]
        by_group = features.unflatten(1, (-1, len(self.group)))
        return moved_pixels(by_group[:, :, fibre].flatten(1, 2), element)


@dataclass(frozen=True)
class CyclicField:
    """Regular features (batch, channels·order, …) of the rotations by 360°/order, as e2cnn has them.

    `[r f](x, h) = f(r⁻¹ x, h − s)` where the rotation r is s steps of 360°/order. Of these rotations only the quarter
    turns act on the pixel grid, so they alone are known, and of them those that are a number of whole steps.
    """

    order: int

    def knows(self, element: Element, /) -> bool:
        """The quarter turns of the group are known, the mirrors are not."""
        return not element.mirrored and element.turns * self.order % 4 == 0

    def act(self, features: Tensor, element: Element, /) -> Tensor:
        """The pixels turned and the orientations shifted."""
        by_orientation = features.unflatten(1, (-1, self.order))
        return moved_pixels(by_orientation.roll(element.turns * self.order // 4, 2).flatten(1, 2), element)


def known_action(field: Field, element: Element, features: Tensor, size: Sequence[int]) -> bool:
    """Whether the action of an element on these features is defined.

    A shift moves features by whole pixels of the image, so that only maps of its size, single pixels and vectors move
    in a known way.

    Args:
        field: of the features.
        element: of the acting group.
        features: (batch, channels) or (batch, channels, height, width).
        size: the height and width of the image.
    """
    pixels = tuple(features.shape[2:])
    return field.knows(element) and (not element.shifts or pixels in ((), (1, 1), tuple(size)))


def feature_field(group: Group) -> Field:
    """The field of features (batch, channels·group, height, width): regular, or scalar for the trivial group."""
    return RegularField(group) if len(group) > 1 else ScalarField()


M = TypeVar("M", bound=nn.Module)


def with_field(module: M, field: Field) -> M:
    """The same module, marked with how its output transforms; for layers such as ReLU that cannot know it."""
    vars(module)["field"] = field
    return module
