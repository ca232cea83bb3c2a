"""Qualitative statements of a source: the comparisons that test them, and the ways in which they can be read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gcnnbench.cards.base import EntryName, Model, Name, Some, Text
from gcnnbench.claims.quantities import Quantity


class Greater(Model):
    """Every entry of `more` has a greater mean of the quantity than every entry of `less`."""

    name: Literal["greater"]
    quantity: Quantity
    more: Some[EntryName]
    less: Some[EntryName]

    @property
    def about(self) -> tuple[EntryName, ...]:
        """The entries that it is about."""
        return (*self.more, *self.less)


class Equal(Model):
    """The means of the quantity of `one` and of each of `others` differ by less than the tolerance."""

    name: Literal["equal"]
    quantity: Quantity
    one: EntryName
    others: Some[EntryName]
    tolerance: Name

    @property
    def about(self) -> tuple[EntryName, ...]:
        """The entries that it is about."""
        return (self.one, *self.others)


class Identical(Model):
    """In every run the accuracies under these elements are one number, to the last digit."""

    name: Literal["identical"]
    entries: Some[EntryName]
    quantities: Annotated[tuple[Quantity, ...], Field(min_length=2)]

    @property
    def about(self) -> tuple[EntryName, ...]:
        """The entries that it is about."""
        return self.entries


class Grows(Model):
    """Training makes the invariance error at the logits grow, in the mean over seeds."""

    name: Literal["grows"]
    entries: Some[EntryName]

    @property
    def about(self) -> tuple[EntryName, ...]:
        """The entries that it is about."""
        return self.entries


Test = Annotated[Greater | Equal | Identical | Grows, Field(discriminator="name")]


class Reading(Model):
    """One way in which a statement can be read, with what was printed for it and how it is tested.

    `source_test` is the test by which the source decided, where it did.
    """

    name: Name
    printed: Text
    source_test: Text | None = None
    calibrates: Name | None = None
    test: Test
