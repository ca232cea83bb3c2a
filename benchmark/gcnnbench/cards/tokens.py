"""Refuses characters, tokens and depths that YAML may have and a card may not, each at its position in the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from gcnnbench.outside_text import unfit

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Key = str | int
Place = tuple[Key, ...]
"""The way to a node from the top of a file: keys of mappings and indices of lists."""

_MAX_DEPTH = 40
MOST_ERRORS = 100
"""Errors of a file that are told; who has made more mends these first."""


class Position(NamedTuple):
    """Line and column, both counted from 1; columns count characters."""

    line: int = 1
    column: int = 1


@dataclass(frozen=True, order=True)
class SourceError:
    """Something wrong at one position; `place` is the way to the node where there is one."""

    position: Position
    message: str
    place: Place = ()


_SEVERAL = "a second document starts here; write one card a file"
_DEEP = f"nested more than {_MAX_DEPTH} deep; no card needs that"
_ALIAS = "aliases (*) are refused; write the value out"
_MANY = f"more than {MOST_ERRORS} errors up to here; what follows was not read"
FATAL = frozenset({_SEVERAL, _DEEP, _ALIAS, _MANY})
"""Errors after which no nodes are made of the file."""

_REFUSED = {
    yaml.AnchorToken: "anchors (&) are refused; write the value out where it is needed",
    yaml.AliasToken: _ALIAS,
    yaml.TagToken: "tags (!) are refused; a card holds plain text, numbers, lists and mappings",
    yaml.DirectiveToken: "directives (%) are refused; leave the line out",
}
_OPENING = frozenset(
    {
        yaml.BlockMappingStartToken,
        yaml.BlockSequenceStartToken,
        yaml.FlowMappingStartToken,
        yaml.FlowSequenceStartToken,
    }
)
_CLOSING = frozenset({yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken})
_CONTENT = _OPENING | {yaml.ScalarToken}


def character_errors(text: str) -> Iterator[SourceError]:
    """Tabs, and characters that do not show: readers of YAML take some of them for the end of a line or a comment."""
    for number, line in enumerate(text.split("\n"), start=1):
        if unfit(line) is None:
            continue
        for column, letter in enumerate(line, start=1):
            if letter == "\t":
                yield SourceError(Position(number, column), "a tab; YAML is indented and spaced with blanks")
                break
            if found := unfit(letter):
                what = f"{found}, which does not show; take it out, or write it as an escape in double quotes"
                yield SourceError(Position(number, column), what)
                break


def token_errors(text: str) -> list[SourceError]:
    """What is refused whatever it stands for, seen before nodes are made of it."""
    errors = []
    depth = 0
    content = closed = False
    for token in yaml.scan(text, Loader=Loader):
        kind = type(token)
        if kind in _REFUSED:
            errors.append(SourceError(position_of(token.start_mark), _REFUSED[kind]))
        elif kind is yaml.DocumentStartToken:
            if content or closed:
                return [*errors, SourceError(position_of(token.start_mark), _SEVERAL)]
        elif kind is yaml.DocumentEndToken:
            closed = True
        elif kind in _OPENING:
            depth += 1
            if depth > _MAX_DEPTH:
                return [*errors, SourceError(position_of(token.start_mark), _DEEP)]
        elif kind in _CLOSING:
            depth -= 1
        content = content or kind in _CONTENT
        if len(errors) > MOST_ERRORS:
            return [*errors, SourceError(position_of(token.start_mark), _MANY)]
    return errors


def position_of(mark: Any) -> Position:
    """The position of a mark of PyYAML, which counts from 0."""
    return Position(mark.line + 1, mark.column + 1)
