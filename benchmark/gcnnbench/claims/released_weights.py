"""What a claims card may say of trained weights that a source released: claims of kind *weights*.

The file is not ours to give: who has it names its folder, and it is known by its sha256. Its tensors become those of an
entry by stated moves, each of them exact; so the entry computes what the source's network computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from gcnnbench.cards.base import Each, EntryName, Model, Name, Sha256, Some, Text, broken_rule
from gcnnbench.cards.values import Natural

TensorName = Annotated[str, StringConstraints(pattern=r"^[\w.{}]+$", max_length=200)]
"""The name of a tensor; `{n}` stands for each of the numbers."""

RELEASED = r"^[\w.-]+/[\w.-]+@[0-9a-f]{7,40}:[^\s;*]+$"


class Move(Model):
    """Tensors of the file that become tensors of the entry, `scale · tensor + add`, in the entry's shape.

    `numbers` are put in the place of `{n}` in both names.
    """

    theirs: TensorName
    ours: TensorName
    numbers: Each[Natural] = ()
    scale: float = 1.0
    add: float = 0.0
    because: Text | None = None

    @model_validator(mode="after")
    def _explained(self) -> Self:
        if (self.scale != 1.0 or self.add != 0.0) and self.because is None:
            raise broken_rule("a move that changes numbers says why", "because")
        return self

    @property
    def pairs(self) -> Iterator[tuple[str, str]]:
        """(their name, our name), one for each number."""
        for number in self.numbers or (0,):
            yield self.theirs.replace("{n}", str(number)), self.ours.replace("{n}", str(number))


class WeightsClaim(Model):
    """A released file of trained weights, and the published number that it should give back.

    Args:
        claim: the number, a claim of the same card.
        where: `owner/repository@commit:path` of the file.
        sha256: of the file.
        entry: of this suite, that computes the same network.
        data: the data set that it was scored on, and after it look-alikes, the first that is at hand is taken.
        orientation: of the images that it was trained on.
        moves: of tensors.
        zero: tensors of the entry that the source's network does not have.
        unused: tensors of the file that do not matter.
        margin: the points within which a score on a look-alike holds.
    """

    kind: Literal["weights"]
    id: Name
    claim: Name
    where: Annotated[str, StringConstraints(pattern=RELEASED)]
    sha256: Sha256
    entry: EntryName
    data: Some[Name]
    orientation: Literal["as-shown", "transposed"]
    moves: Annotated[tuple[Move, ...], Field(min_length=1)]
    zero: Each[TensorName] = ()
    unused: Each[TensorName] = ()
    margin: Annotated[float, Field(gt=0, le=10)]
    because: Text
    note: Text | None = None

    @property
    def link(self) -> str:
        """Where the file can be fetched by hand."""
        repository, _, rest = self.where.partition("@")
        commit, _, path = rest.partition(":")
        return f"https://raw.githubusercontent.com/{repository}/{commit}/{path}"
