"""Reads a card file strictly: the card, or one error that lists all its mistakes as `path:line:column: key: what`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import ValidationError

from gcnnbench.cards.allowed_keys import allowed_keys
from gcnnbench.cards.base import Described, Model
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.dataset_card import DatasetCard
from gcnnbench.cards.messages import HYPERPARAMETER, phrase, unknown_key
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cards.scalars import ECHO
from gcnnbench.cards.source import Document, read_source
from gcnnbench.cards.tokens import MOST_ERRORS, Place
from gcnnbench.errors import UserError
from gcnnbench.outside_text import as_line

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

CardT = TypeVar("CardT", bound=Model)


@dataclass(frozen=True, order=True)
class Finding:
    """Something wrong in a card file; its text is `path:line:column: key: message`."""

    path: Path
    line: int
    column: int
    key: str
    message: str

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        return f"{_short(self.path)}:{self.line}:{self.column}: {key}{self.message}"


class CardsError(UserError):
    """Everything that is wrong with one or more card files, at most `MOST_ERRORS` a file."""

    def __init__(self, errors: Iterable[Finding]) -> None:
        self.errors = tuple(_capped(sorted(set(errors))))
        super().__init__("\n".join(str(error) for error in self.errors))


def _capped(errors: Sequence[Finding]) -> Iterator[Finding]:
    for path, found in groupby(errors, lambda error: error.path):
        told = list(found)
        yield from told[:MOST_ERRORS]
        if len(told) > MOST_ERRORS:
            last = told[MOST_ERRORS]
            yield Finding(path, last.line, last.column, "", "further errors are not shown; mend those before first")


@dataclass(frozen=True)
class CardFile(Generic[CardT]):
    """A card together with the file it stands in and the position of everything it says."""

    path: Path
    card: CardT
    document: Document

    def error(self, place: Place, message: str, *, of_key: bool = False) -> Finding:
        """An error at a place of this card."""
        return _error(self.path, self.document, place, message, of_key=of_key)


def open_cards(
    paths: Iterable[Path], kind: type[CardT], check: Callable[[CardFile[CardT]], Iterable[Finding]]
) -> list[CardT]:
    """Read these cards in their order, and check each against what else there is.

    Raises:
        CardsError: any is no such card, or the check finds something; all errors at once.
    """
    cards: list[CardT] = []
    findings: list[Finding] = []
    for path in paths:
        try:
            file = open_card(path, kind)
        except CardsError as error:
            findings += error.errors
        else:
            cards.append(file.card)
            findings += check(file)
    if findings:
        raise CardsError(findings)
    return cards


def open_card(path: Path, kind: type[CardT]) -> CardFile[CardT]:
    """Read one card and keep the positions of what it says.

    Args:
        path: the file.
        kind: `ModelCard`, `DatasetCard` or `BenchmarkCard` (or any other schema).

    Raises:
        CardsError: the file cannot be read, is not strict YAML, or is no such card; all errors at once.
    """
    return card_of(path, read_source(path), kind)


def card_of(path: Path, document: Document, kind: type[CardT]) -> CardFile[CardT]:
    """The card that a document holds.

    Args:
        path: the file in which errors are placed.
        document: what it says.
        kind: the schema.

    Raises:
        CardsError: it is no such card; all errors at once.
    """
    errors = [
        Finding(path, wrong.position.line, wrong.position.column, _dotted(wrong.place), wrong.message)
        for wrong in document.errors
    ]
    if document.readable:
        try:
            card = kind.model_validate_json(json.dumps(document.data, allow_nan=False))
        except ValidationError as error:
            details = error.errors(include_url=False)[: 2 * MOST_ERRORS]
            errors += _schema_errors(path, document, kind, details)
        else:
            if not errors:
                return CardFile(path, card, document)
    raise CardsError(errors)


def _schema_errors(path: Path, document: Document, kind: type[Model], details: Iterable[ErrorDetails]) -> list[Finding]:
    """pydantic's errors at their positions; those that only follow from an error in the source are left out."""
    unknown: list[Finding] = []
    missing: list[tuple[str, Finding]] = []
    others: list[Finding] = []
    for detail in details:
        of_key, context = detail["type"] in ("missing", "extra_forbidden"), detail.get("ctx", {})
        if detail["type"] == "too_short" and len(detail["input"]) >= context["min_length"]:
            continue  # pydantic counts right items only; the wrong ones have errors of their own
        place, in_union = _place(document.data, detail["loc"], of_key=of_key)
        if detail["type"] == "rule":
            place += tuple(context.get("place", ()))
        if any(place[:length] in document.faulty for length in range(len(place) + 1)):
            continue
        if detail["type"] == "extra_forbidden":
            message = unknown_key(str(place[-1]), allowed_keys(kind, detail["loc"][:-1]))
            unknown.append(_error(path, document, place, message, of_key=True))
        elif detail["type"] in ("missing", "union_tag_not_found"):
            name = str(detail["loc"][-1]) if detail["type"] == "missing" else context["discriminator"].strip("'")
            parent = place[:-1] if detail["type"] == "missing" else place
            missing.append((name, _error(path, document, (*parent, name), phrase(detail))))
        else:
            if detail["type"] == "union_tag_invalid":
                place = (*place, context["discriminator"].strip("'"))
            message = HYPERPARAMETER if in_union else phrase(detail)
            others.append(_error(path, document, place, message, of_key="[key]" in detail["loc"]))
    for name, error in missing:
        if not any(f"did you mean {name}?" in typo.message and _siblings(typo, error) for typo in unknown):
            others.append(error)
    return [*unknown, *others]


def _place(data: Any, loc: tuple[int | str, ...], *, of_key: bool) -> tuple[Place, bool]:
    """pydantic's `loc` as a place in the data, and whether it ends in a member of a union without tags.

    pydantic puts the tag of a union's member into `loc` (`optimiser.adam.learning_rate`), which no file holds.
    With `of_key` the last part is a key that the mapping lacks or should not have.
    """
    place: list[str | int] = []
    for index, part in enumerate(loc):
        if part == "[key]":
            continue
        if isinstance(data, Mapping):
            if part in data:
                data = data[part]
            elif not (of_key and index == len(loc) - 1):
                if part not in (data.get("name"), data.get("kind")):
                    return tuple(place), True
                continue
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
        else:
            return tuple(place), True
        place.append(part)
    return tuple(place), False


def _siblings(one: Finding, other: Finding) -> bool:
    return one.key.rpartition(".")[0] == other.key.rpartition(".")[0]


def _error(path: Path, document: Document, place: Place, message: str, *, of_key: bool = False) -> Finding:
    position = document.position(place, of_key=of_key)
    return Finding(path, position.line, position.column, _dotted(place), message)


def _dotted(place: Place) -> str:
    """A place in words, as `recipe.optimiser.name` or `entries[2]`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{as_line(part, ECHO)}" if text else as_line(part, ECHO)
    return text


def _short(path: Path) -> Path:
    """A path below the current directory without that directory."""
    try:
        return path.resolve().relative_to(Path.cwd())
    except ValueError:
        return path


CARD_KINDS: Mapping[str, type[Described]] = {"model": ModelCard, "dataset": DatasetCard, "benchmark": BenchmarkCard}
"""The kinds of cards, each with its schema."""
