"""What all cards are made of: the strict base model, the types of their values, and what every card says of itself.

A field added later is optional and null where absent, and null fields stay out of the digest:
so a new field changes the digest of no benchmark that does not use it.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from gcnnbench.outside_text import TEXT, unfit

_NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_ENTRY = r"^[a-z0-9]+(-[a-z0-9]+)*@[1-9][0-9]{0,3}$"
_IDENTIFIER = r"^[a-z][a-z0-9_]*$"
_FIELD = r"^[a-z][a-z0-9_]*(\.[a-z0-9_-]+)*$"
_PATH = r"^\w[\w.-]*(/\w[\w.-]*)*$"
_REQUIREMENT = (
    r"^[A-Za-z0-9][A-Za-z0-9._-]*( ?[<>=!~]=? ?[0-9][A-Za-z0-9.*+!-]*(, ?[<>=!~]=? ?[0-9][A-Za-z0-9.*+!-]*)*)?$"
)
_SHA256 = r"^[0-9a-f]{64}$"
_MD5 = r"^[0-9a-f]{32}$"

FORMS: Mapping[str, str] = {
    _NAME: "small letters and digits, in words joined by '-', as p4cnn-subsample is",
    _ENTRY: "SLUG@SIZE, as p4cnn@28 is, of at most 9999 pixels",
    _REQUIREMENT: "a package, with its versions if need be, as e2cnn>=0.2.3 is",
    _IDENTIFIER: "a name of small letters, digits and '_' that starts with a letter, as weight_decay is",
    _FIELD: "the way to a field of this card, as hyperparameters.dropout is",
    _PATH: "a path below the data directory, with '/' between its parts, as MNIST/raw/images-ubyte is",
    _SHA256: "a SHA-256 in 64 small hexadecimal digits",
    _MD5: "an MD5 in 32 small hexadecimal digits",
}
"""What each pattern asks for, in words."""

LINE = 300
"""Characters of a line."""

T = TypeVar("T")


def broken_rule(rule: str, *place: str | int) -> PydanticCustomError:
    """The error of a validator: the rule that is broken, in words, and the field below the model that breaks it."""
    return PydanticCustomError("rule", "{rule}", {"rule": rule, "place": place})


def _unique(values: tuple[T, ...]) -> tuple[T, ...]:
    seen: set[Hashable] = set()
    for index, value in enumerate(values):
        if value in seen:
            raise broken_rule(f"{value} stands twice; name each once", index)
        seen.add(value)
    return values


def _line(text: str) -> str:
    if found := unfit(text):
        raise broken_rule(f"it holds {found}; write one line of text in which every character shows")
    return text


def _text(text: str) -> str:
    if found := unfit(text, "\n\t"):
        raise broken_rule(f"it holds {found}; write text in which every character shows")
    return text


Name = Annotated[str, StringConstraints(pattern=_NAME, max_length=60)]
Identifier = Annotated[str, StringConstraints(pattern=_IDENTIFIER, max_length=60)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=LINE, strip_whitespace=True), AfterValidator(_line)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=TEXT, strip_whitespace=True), AfterValidator(_text)]
Requirement = Annotated[str, StringConstraints(pattern=_REQUIREMENT, max_length=100)]
Sha256 = Annotated[str, StringConstraints(pattern=_SHA256)]
Md5 = Annotated[str, StringConstraints(pattern=_MD5)]
EntryName = Annotated[str, StringConstraints(pattern=_ENTRY)]
RoleName = Annotated[str, StringConstraints(pattern=_NAME, max_length=30)]
"""What a network's parameters are for, in its own words: `degree`, `free`, `weights`."""
FieldPath = Annotated[str, StringConstraints(pattern=_FIELD)]
DataPath = Annotated[str, StringConstraints(pattern=_PATH)]
Hyperparameter = (
    bool | int | float | Annotated[str, StringConstraints(max_length=LINE), AfterValidator(_line)] | tuple[int, ...]
)
Size = Annotated[int, Field(ge=1, le=9999)]
Channels = Annotated[int, Field(ge=1, le=10_000)]
Classes = Annotated[int, Field(ge=2, le=100_000)]
Epochs = Annotated[int, Field(ge=1, le=100_000)]
Version = Annotated[int, Field(ge=1, le=10_000)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Pixel = Annotated[float, Field(ge=-1000, le=1000)]
"""A pixel's value, a mean or a fill, after any normalisation."""

Some = Annotated[tuple[T, ...], Field(min_length=1), AfterValidator(_unique)]
Each = Annotated[tuple[T, ...], AfterValidator(_unique)]
"""Any number of values, each once."""


class Model(BaseModel):
    """Base of everything a card holds: unknown keys are errors, values are not converted, nothing changes later."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Source(Model):
    """Where something was published: a key of `references.bib` and the place in it."""

    key: Name
    where: Line | None = None


class Assumption(Model):
    """A choice that the published protocol leaves open, made in one field of this card, with the evidence for it."""

    name: Name
    field: FieldPath
    because: Text


class Described(Model):
    """What every card says of itself."""

    name: Name
    title: Line
    summary: Text
    sources: tuple[Source, ...] = ()


def split_entry(entry: str) -> tuple[str, int]:
    """The slug and the input size of an entry's name, `p4cnn@28` -> ("p4cnn", 28).

    Raises:
        ValueError: the name has another form.
    """
    match = re.fullmatch(r"([a-z0-9-]+)@([1-9][0-9]{0,3})", entry)
    if not match:
        raise ValueError(f"{entry!r} is no entry: write SLUG@SIZE, as in p4cnn@28")
    return match[1], int(match[2])
