"""What a zoo card may say: the networks of one code base, how they are built, at which sizes and with which claims."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from gcnnbench.cards.base import Channels, Hyperparameter, Line, Model, Name, Requirement, Size, Some, Text, broken_rule
from gcnnbench.cards.card_files import REGISTRY
from gcnnbench.cards.elements import GridGroupName
from gcnnbench.cards.model_card import HyperparameterName
from gcnnbench.cards.reading import CardFile, Finding, open_cards

FOLDER = REGISTRY / "zoo"

Repository = Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{7,40}$")]
Claim = Literal["equivariant", "approximate", "nothing"]
"""What the source says of the network at these sizes, of its rotations or mirrors."""


class Package(Model):
    """Code from a package index: the package first, then those that it imports and does not bring.

    Each with its versions, as pip takes it.
    """

    kind: Literal["package"]
    requires: Some[Requirement]


class Checkout(Model):
    """Code of a repository that is no package: the user clones it."""

    kind: Literal["checkout"]
    repository: Repository
    commit: Commit


class Entries(Model):
    """Models of this suite's registry, which re-implement a source's networks; their cards say where they differ."""

    kind: Literal["entries"]


class Formula(Model):
    """A re-implementation from the formulae of a source whose code has no licence."""

    kind: Literal["formula"]
    repository: Repository
    commit: Commit


Origin = Annotated[Package | Checkout | Entries | Formula, Field(discriminator="kind")]


class ZooNetwork(Model):
    """One network at the sizes that its source used.

    Args:
        name: what the source calls it.
        build: `package.module:factory`, `path/in/the/checkout.py:factory`, or a model's slug.
        arguments: of the factory.
        channels: of the images.
        sizes: heights and widths.
        where: where the source says the size, and the claim.
        claims: what it claims there.
        of: the group of the claim, where the pixel grid holds only a part of it.
        judged: the group that it is judged under.
    """

    name: Line
    build: Annotated[str, StringConstraints(pattern=r"^[\w./:-]+$", max_length=200)]
    arguments: dict[HyperparameterName, Hyperparameter] = Field(default_factory=dict)
    channels: Channels = 3
    sizes: Some[Size]
    where: Line
    claims: Claim
    of: Line | None = None
    judged: GridGroupName = "p4"
    note: Line | None = None


def _once(networks: tuple[ZooNetwork, ...]) -> tuple[ZooNetwork, ...]:
    seen: set[tuple[str, int]] = set()
    for place, network in enumerate(networks):
        for size in network.sizes:
            if (network.name, size) in seen:
                raise broken_rule(f"{network.name} at {size} stands twice; name each size of a network once", place)
            seen.add((network.name, size))
    return networks


class ZooCard(Model):
    """The networks of one code base; the card's name is the file's."""

    name: Name
    title: Line
    summary: Text
    licence: Line
    origin: Origin
    networks: Annotated[tuple[ZooNetwork, ...], Field(min_length=1), AfterValidator(_once)]


def read_zoo(folder: Path = FOLDER) -> list[ZooCard]:
    """All cards of the zoo, by name.

    Raises:
        CardsError: any card is wrong; all at once.
    """
    return open_cards(sorted(folder.glob("*.yaml")), ZooCard, _named_otherwise)


def _named_otherwise(file: CardFile[ZooCard]) -> Iterator[Finding]:
    if file.card.name != file.path.stem:
        yield file.error(("name",), f"'{file.card.name}' must be {file.path.stem}, as the file is called")
