"""Reads the package's imports from its source, without importing it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "benchmark" / "gcnnbench"


class When(Enum):
    """When an import is carried out: with the module, when a function of it runs, or by type checkers only."""

    WITH_THE_MODULE = 1
    IN_A_FUNCTION = 2
    FOR_TYPES = 3


@dataclass(frozen=True)
class Import:
    """`target` is a module of the package, as `runs.store`, or the top-level name of one from elsewhere."""

    target: str
    own: bool
    when: When


Graph = Mapping[str, tuple[Import, ...]]
"""The imports of each module of the package; a package stands for its `__init__.py`, the top one is `__init__`."""


def graph(**planted: str) -> Graph:
    """The imports of every module, and those of lines planted at the end of some: `graph(nn__groups="import os")`.

    What `gcnnbench new` copies is left out, as are models and data sets, which are loaded by name.
    """
    read = _read()
    lines = {name.replace("__", "."): text for name, text in planted.items()}
    return {**read, **{name: (*read[name], *_imports(ast.parse(text), read.keys())) for name, text in lines.items()}}


@cache
def _read() -> Graph:
    paths = {path.relative_to(PACKAGE): path for path in PACKAGE.rglob("*.py") if "templates" not in path.parts}
    named = {name.with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): paths[name] for name in paths}
    return {name: tuple(_imports(ast.parse(path.read_text("utf-8")), named.keys())) for name, path in named.items()}


def reached(imports: Graph, start: str, *when: When) -> dict[str, str]:
    """What a module imports, directly or through others, each with the module that imports it first.

    A module's packages are imported before it, so theirs count as well.
    """
    found: dict[str, str] = {}
    waiting = [start]
    while waiting:
        name = waiting.pop(0)
        for target, own in ((one.target, one.own) for one in imports[name] if one.when in when):
            for each in (*_packages(target, imports), target) if own else (target,):
                if each not in found and each != start:
                    found[each] = name
                    waiting += [each] if own else []
    return found


def circles(imports: Graph) -> list[str]:
    """Modules that import each other, directly or through others, as `a -> b -> a`; imports for types count."""
    found, done = [], set[str]()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            found.append(" -> ".join((*path[path.index(name) :], name)))
        elif name not in done:
            for one in imports[name]:
                if one.own:
                    visit(one.target, (*path, name))
            done.add(name)

    for name in imports:
        visit(name, ())
    return found


def _packages(name: str, imports: Graph) -> Iterator[str]:
    parts = name.split(".")
    yield from (above for end in range(1, len(parts)) if (above := ".".join(parts[:end])) in imports)


def _imports(node: ast.AST, known: Collection[str], when: When = When.WITH_THE_MODULE) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        inner = when
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            inner = When.FOR_TYPES
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and when is not When.FOR_TYPES:
            inner = When.IN_A_FUNCTION
        if isinstance(child, ast.Import):
            yield from (_import(alias.name, known, when) for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            yield from (_import(f"{child.module}.{alias.name}", known, when) for alias in child.names)
        else:
            yield from _imports(child, known, inner)


def _import(name: str, known: Collection[str], when: When) -> Import:
    """The import of a module, or of a name in it."""
    top, _, below = name.partition(".")
    if top != "gcnnbench":
        return Import(top, False, when)
    module = below if below in known else below.rpartition(".")[0]
    return Import(module or "__init__", True, when)
