"""Reads and sets what lists, dicts, sets and tuples hold, by the methods of the kind itself.

A subclass may refuse its own methods, as frozen dicts do, or do something else in them.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import chain, starmap, zip_longest
from operator import is_
from typing import Any, TypeVar

Answer = TypeVar("Answer")


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


NOTHING = object()
"""What no container holds."""

KINDS: dict[type, tuple[Callable[[Any], Iterable[Any]], Callable[[Any, list[Any]], None]]] = {
    OrderedDict: (lambda held: chain(OrderedDict.keys(held), OrderedDict.values(held)), _fill_ordered),
    dict: (lambda held: chain(dict.keys(held), dict.values(held)), _fill_dict),
    list: (list.__iter__, _fill_list),
    deque: (deque.__iter__, _fill_deque),
    set: (set.__iter__, _fill_set),
    tuple: (tuple.__iter__, _fill_nothing),
    frozenset: (frozenset.__iter__, _fill_nothing),
}
"""How the contents of each kind are read and set; an ordered dict is a dict, and stands before it."""


def by_class(answer: Callable[[type], Answer]) -> Callable[[type], Answer]:
    """The same function, asked once for each class: of many things there are few classes."""
    return lru_cache(maxsize=1024)(answer)


@by_class
def kind_of(kind: type) -> type | None:
    """Which kind of container things of a class are, or None."""
    return next((one for one in KINDS if issubclass(kind, one)), None)


def contents_of(container: Any) -> list[Any]:
    """What a container holds, in its order: of a dict its keys and then its values. What is none holds nothing."""
    return list(each_of(container))


def each_of(container: Any) -> Iterable[Any]:
    """The same, one after the other, without a list of them."""
    kind = kind_of(type(container))
    return () if kind is None else KINDS[kind][0](container)


def refill(container: Any, contents: list[Any]) -> None:
    """Make a container hold what `contents_of` gave of it; nothing is done where it still holds that, in that order."""
    kind = kind_of(type(container))
    if kind is not None and not all(starmap(is_, zip_longest(each_of(container), contents, fillvalue=NOTHING))):
        KINDS[kind][1](container, contents)


def _items(contents: list[Any]) -> list[tuple[Any, Any]]:
    """The items of a dict, of its keys and then its values."""
    count = len(contents) // 2
    return list(zip(contents[:count], contents[count:], strict=True))
