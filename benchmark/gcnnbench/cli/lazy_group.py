"""A group whose verbs become commands when they are asked for: the modules of other verbs are not read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, cast

from typer.main import get_command

from gcnnbench.cli.plain_help import PlainCommand, PlainGroup, plain_typer


class Commands(Mapping[str, Any]):
    """Commands by their names, each made at the first look at it.

    Args:
        places: where the functions of verbs are, as `function_at` takes it.
        made: further commands that follow them.
    """

    def __init__(self, places: Mapping[str, str], made: Mapping[str, Any]) -> None:
        self._names = (*places, *made)
        self._places = places
        self._made = dict(made)

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            verb = plain_typer(add_completion=False)
            verb.command(name, cls=PlainCommand)(function_at(self._places[name]))
            self._made[name] = get_command(verb)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def group_of(places: Mapping[str, str]) -> type[PlainGroup]:
    """The class of a group with the verbs whose functions are there."""

    class LazyGroup(PlainGroup):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.commands = cast(Any, Commands(places, self.commands))

    return LazyGroup


def function_at(place: str) -> Callable[..., Any]:
    """A verb's function, from `module:function` in this room."""
    module, _, name = place.partition(":")
    function: Callable[..., Any] = getattr(import_module(f"gcnnbench.cli.{module}"), name)
    return function
