"""Reads and sets what lists, dicts, sets and tuples hold, by the methods of the kind itself.

A subclass may refuse its own methods, as frozen dicts do, or do something else in them.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from operator import is_
from typing import Any


def _fill_ordered(held: Any, contents: list[Any]) -> None:
    OrderedDict.clear(held)
    for name, value in _items(contents):
        OrderedDict.__setitem__(held, name, value)


def _fill_dict(held: Any, contents: list[Any]) -> None:
    dict.clear(held)
    dict.update(held, _items(contents))


def _fill_list(held: Any, contents: list[Any]) -> None:
    list.__setitem__(held, slice(None), contents)


def _fill_deque(held: Any, contents: list[Any]) -> None:
    deque.clear(held)
    deque.extend(held, contents)


def _fill_set(held: Any, contents: list[Any]) -> None:
    set.clear(held)
    set.update(held, contents)


def _fill_nothing(held: Any, contents: list[Any]) -> None:
    """It cannot have changed."""


KINDS: dict[type, tuple[Callable[[Any], list[Any]], Callable[[Any, list[Any]], None]]] = {
    OrderedDict: (lambda held: [*OrderedDict.keys(held), *OrderedDict.values(held)], _fill_ordered),
    dict: (lambda held: [*dict.keys(held), *dict.values(held)], _fill_dict),
    list: (list.copy, _fill_list),
    deque: (lambda held: list(deque.__iter__(held)), _fill_deque),
    set: (lambda held: list(set.__iter__(held)), _fill_set),
    tuple: (lambda held: list(tuple.__iter__(held)), _fill_nothing),
    frozenset: (lambda held: list(frozenset.__iter__(held)), _fill_nothing),
}
"""How the contents of each kind are read and set; an ordered dict is a dict, and stands before it."""


def kind_of(thing: object) -> type | None:
    """Which kind of container it is, or None."""
    return next((kind for kind in KINDS if isinstance(thing, kind)), None)


def contents_of(container: Any) -> list[Any]:
    """What a container holds, in its order: of a dict its keys and then its values. What is none holds nothing."""
    kind = kind_of(container)
    return [] if kind is None else KINDS[kind][0](container)


def refill(container: Any, contents: list[Any]) -> None:
    """Make a container hold what `contents_of` gave of it; nothing is done where it still holds that, in that order."""
    kind = kind_of(container)
    now = contents_of(container)
    if kind is not None and (len(now) != len(contents) or not all(map(is_, now, contents))):
        KINDS[kind][1](container, contents)


def _items(contents: list[Any]) -> list[tuple[Any, Any]]:
    """The items of a dict, of its keys and then its values."""
    count = len(contents) // 2
    return list(zip(contents[:count], contents[count:], strict=True))
