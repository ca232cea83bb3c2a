"""Resolves the target of an audit: an entry, a model's slug, or one's own `module:factory` or `file.py:factory`."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.entries import build_network
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cards.registry import Registry
from gcnnbench.device import seeded
from gcnnbench.equivariance.factories import Factory, factory
from gcnnbench.errors import UserError
from gcnnbench.foreign_code import REFUSALS
from gcnnbench.nn.groups import P4, P4M, Group

SEED = 0
"""Of the weights that a factory draws: the same at every size and in every audit."""


@dataclass(frozen=True)
class Target:
    """A network to audit.

    Args:
        name: as the user wrote it.
        make: the network for an input size.
        group: what it is judged under.
        size: the one size that an entry names, else None.
        channels: of its input; None where it is to be tried out.
        exact_at: the sizes at which its card claims exactness.
        learnt_at: the sizes at which its card claims a symmetry that is learnt.
        claims_trivial: whether its card claims no symmetry.
    """

    name: str
    make: Factory
    group: Group
    size: int | None = None
    channels: int | None = None
    exact_at: tuple[int, ...] = ()
    learnt_at: tuple[int, ...] = ()
    claims_trivial: bool = False


def resolve(text: str, arguments: Mapping[str, Any] | None = None, include: Sequence[Path] = ()) -> Target:
    """Find what the user points at.

    Args:
        text: `slug@size`, `slug`, `package.module:factory` or `file.py:factory`. A factory is a class, a function or a
            finished module; where it takes `size` it gets the input size.
        arguments: further arguments for a factory.
        include: model folders from outside the registry.

    Raises:
        UserError: there is no such thing, or its code does not import.
    """
    if ":" in text:
        make = factory(code_named(text), arguments, name=text, positional=False)
        return Target(text, _seeded(make), P4)
    if text.endswith(".py"):
        raise UserError(f"{text} is a file: write {text}:FACTORY{_callables(_import(text, text))}")
    if arguments:
        raise UserError(
            f"{text} is a registered model, whose arguments stand on its card: leave out {', '.join(arguments)}"
        )
    size = None
    if "@" in text:
        try:
            _, size = split_entry(text)
        except ValueError as error:
            raise UserError(str(error)) from None
    registry = Registry.load(include)
    return model_target(registry, registry.model(text), size)


def model_target(registry: Registry, card: ModelCard, size: int | None = None) -> Target:
    """The target for a registered model, with the channels and classes of the first parameter count on its card."""
    module, counted = registry.module("model", card.name), card.parameters[0]

    def make(size: int) -> nn.Module:
        with seeded(torch.device("cpu"), SEED):
            return build_network(
                module,
                f"{card.name}@{size}",
                size=size,
                channels=counted.channels,
                classes=counted.classes,
                hyperparameters=card.hyperparameters,
            )

    return Target(
        name=card.name if size is None else f"{card.name}@{size}",
        make=make,
        group=P4M if card.group == "p4m" else P4,
        size=size,
        channels=counted.channels,
        exact_at=card.exact_at,
        learnt_at=card.learnt_at,
        claims_trivial=card.group == "trivial",
    )


def _seeded(make: Factory) -> Factory:
    def seeded_make(size: int) -> nn.Module:
        with seeded(torch.device("cpu"), SEED):
            return make(size)

    return seeded_make


def code_named(text: str) -> Any:
    """What `package.module:name` or `file.py:name` names.

    Raises:
        UserError: there is no such thing, or its code does not import.
    """
    place, _, attribute = text.rpartition(":")
    module = _import(text, place)
    found: Any = module
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise UserError(f"{text}: there is no {attribute!r} in it{_callables(module)}")
        found = getattr(found, name)
    return found


def _callables(module: ModuleType) -> str:
    """The end of a sentence: what a module defines itself that can be called."""
    own = [
        name
        for name, value in vars(module).items()
        if callable(value) and not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    named = [name for name, value in vars(module).items() if isinstance(value, nn.Module) and name not in own]
    found = sorted([*own, *named])
    return f"; it has {', '.join(found[:12])}" if found else "; it has nothing to call"


def _import(text: str, place: str) -> ModuleType:
    is_file = place.endswith(".py")
    if is_file and not Path(place).is_file():
        raise UserError(f"{text}: there is no file {place}")
    try:
        with importable(Path(place).resolve().parent if is_file else Path.cwd()):
            return _from_file(Path(place).resolve()) if is_file else import_module(place)
    except REFUSALS as error:
        raise UserError(f"{text} does not import: {type(error).__name__}: {error}") from error


def _from_file(path: Path) -> ModuleType:
    name = f"_gcnnbench_audited_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def importable(folder: Path | None) -> Iterator[None]:
    """Let the user's code import its neighbours, as it would when run in this folder; none is added where None."""
    before = list(sys.path)
    if folder is not None:
        sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = before
