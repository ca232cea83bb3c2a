"""Strict YAML: a file becomes plain data and the position of every node, or a list of everything wrong with it.

Refused, because readers guess at them or because they hide what a card says: numbers and words in other than their
canonical form (see `scalars`), duplicate keys, anchors, aliases, merge keys, tags, directives, several documents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from gcnnbench.cards.scalars import ECHO, GuessError, plain
from gcnnbench.cards.tokens import (
    FATAL,
    MOST_ERRORS,
    Loader,
    Place,
    Position,
    SourceError,
    character_errors,
    position_of,
    token_errors,
)
from gcnnbench.outside_text import as_line, unfit
from gcnnbench.plain_files import read_plain

CARD_BYTES = 100_000
"""Bytes of the largest file of a card; most have a few thousand."""


@dataclass(frozen=True)
class Document:
    """What a file says, where it says it, and what is wrong with it.

    `keys` holds the position of each key, `values` that of each value; a node in `faulty` has an error of its own, and
    what stands for it in `data` means nothing.
    """

    data: Any
    keys: dict[Place, Position] = field(default_factory=dict)
    values: dict[Place, Position] = field(default_factory=dict)
    faulty: frozenset[Place] = frozenset()
    errors: tuple[SourceError, ...] = ()

    @property
    def readable(self) -> bool:
        """Whether there is any data to look at."""
        return bool(self.values)

    def position(self, place: Place, *, of_key: bool = False) -> Position:
        """Where a node stands, or else the nearest node around it."""
        for length in range(len(place), -1, -1):
            inner = place[:length]
            if of_key and inner in self.keys:
                return self.keys[inner]
            if inner in self.values:
                return self.values[inner]
        return Position()


def read_source(path: Path) -> Document:
    """Read one file strictly; never raises: where it cannot be read at all, that is its error."""
    try:
        content = read_plain(path, CARD_BYTES)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        return _broken(Position(), "the file is missing" if missing else f"cannot be read: {error.strerror}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", errors="replace").lstrip("\ufeff")
        byte = f"0x{content[error.start]:02x}"
        return _broken(_after(before), f"byte {byte} is not UTF-8; save the file as UTF-8")
    return parse_source(text)


def parse_source(text: str) -> Document:
    """Read one YAML text strictly, as `read_source` does."""
    text = text.replace("\r\n", "\n")
    errors = list(islice(character_errors(text), MOST_ERRORS))
    if errors:
        text = "".join(letter if letter == "\n" or unfit(letter) is None else " " for letter in text)
    try:
        errors += token_errors(text)
        node = yaml.compose(text, Loader=Loader) if not any(error.message in FATAL for error in errors) else None
    except yaml.YAMLError as error:
        if not errors:
            errors.append(_syntax_error(error))
        return Document(None, errors=tuple(sorted(errors)))
    if node is None:
        if not errors:
            errors.append(SourceError(Position(), "the file is empty; it must hold a card"))
        return Document(None, errors=tuple(sorted(errors)))
    return _Walk(errors).document(node)


class _Walk:
    """One walk over the nodes of a document, which gathers data, positions and errors."""

    def __init__(self, errors: list[SourceError]) -> None:
        self.errors = errors
        self.keys: dict[Place, Position] = {}
        self.values: dict[Place, Position] = {}
        self.faulty: set[Place] = set()

    def document(self, node: yaml.Node) -> Document:
        data = self.value(node, ())
        return Document(data, self.keys, self.values, frozenset(self.faulty), tuple(sorted(self.errors)))

    def wrong(self, position: Position, message: str, place: Place) -> None:
        self.errors.append(SourceError(position, message, place))
        self.faulty.add(place)

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.values[place] = position_of(node.start_mark)
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
        if not isinstance(node, yaml.ScalarNode) or node.style:
            return node.value
        try:
            return plain(node.value)
        except GuessError as error:
            self.wrong(self.values[place], str(error), place)
            return None

    def mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            position = position_of(key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                self.wrong(position, "a key must be a name, not a list or a mapping", place)
                continue
            key = self.key(key_node, place)
            if key in data:
                first = self.keys[*place, key]
                message = f"stands twice (first at {first.line}:{first.column}); keep one"
                self.errors.append(SourceError(position, message, (*place, key)))
                continue
            self.keys[*place, key] = position
            data[key] = self.value(value_node, (*place, key))
        return data

    def key(self, node: yaml.ScalarNode, place: Place) -> str:
        text = str(node.value)
        if node.style:
            return text
        try:
            if isinstance(plain(text), str):
                return text
            readers = "readers"
        except GuessError:
            readers = "every reader"
        shown = as_line(text, ECHO)
        problem = f"the key {shown} is not text to {readers} of YAML; quote it: '{shown}'"
        self.wrong(position_of(node.start_mark), problem, (*place, text))
        return text


def _broken(position: Position, message: str) -> Document:
    return Document(None, errors=(SourceError(position, message),))


def _after(text: str) -> Position:
    """The position of the character that follows a text."""
    lines = text.split("\n")
    return Position(len(lines), len(lines[-1]) + 1)


def _syntax_error(error: yaml.YAMLError) -> SourceError:
    """A parser's complaint in one line, with advice for what people meet most."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "context", None) or str(error)
    advice = "indent with blanks, and quote text that holds ': ', ' #', or starts with one of []{}&*!|>'\"%@`"
    return SourceError(position_of(mark) if mark else Position(), f"not YAML: {problem}; {advice}")
