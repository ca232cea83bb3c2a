"""A new folder of a card and its code, from templates: its name is free, and it is there whole or not at all."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gcnnbench.cards.registry import Registry
from gcnnbench.disk import errors_name_folder, make_folder
from gcnnbench.errors import UserError


def free_folder(
    registry: Registry, kind: Literal["model", "dataset"], name: str, parent: Path, *, longest: int, example: str
) -> Path:
    """Where the folder of a new card may be made.

    Args:
        registry: in which the name is to be free.
        kind: of the card.
        name: the card's and the folder's.
        parent: where the folder is to be.
        longest: characters that the name may have.
        example: of a name, for messages.

    Raises:
        UserError: the name has another form or is taken, or something stands there already.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) or len(name) > longest:
        raise UserError(f"name (={name!r}) must be small letters and digits, in words joined by '-', as {example} is")
    if name in (registry.models if kind == "model" else registry.datasets):
        raise UserError(f"the name {name} is taken by {registry.paths[kind, name]}; choose another")
    if (parent / name).exists():
        raise UserError(f"{parent / name} is there already; choose another name, or another place with --output")
    return parent / name


@contextmanager
def written_aside(folder: Path) -> Iterator[Path]:
    """An empty folder of the same name beside it, which takes its place at the end unless an error came first.

    Raises:
        OSError: nothing can be written there.
    """
    make_folder(folder.parent)
    with (
        errors_name_folder(folder.parent),
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as aside,
    ):
        made = Path(aside) / folder.name
        made.mkdir()
        yield made
        made.rename(folder)


def templates(folder: Path) -> Environment:
    """The templates of a folder; a value that none gives is an error."""
    return Environment(
        loader=FileSystemLoader(folder), undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
