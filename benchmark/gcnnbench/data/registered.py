"""Loads a registered data set: its card and its code from the registry, its files from the data directory."""

from __future__ import annotations

from pathlib import Path

from gcnnbench.cards.registry import Registry
from gcnnbench.data.files import load_parts
from gcnnbench.data.parts import Part
from gcnnbench.errors import UnavailableError, UserError

_last: dict[tuple[object, ...], dict[str, Part]] = {}
"""The data set that this process has read last: one, so that its memory is bounded."""


def load_dataset(registry: Registry, name: str, folder: Path) -> dict[str, Part]:
    """The parts of a data set, checked against its card.

    Args:
        registry: the cards.
        name: the data set.
        folder: the data directory.

    Raises:
        UnavailableError: a file is missing or damaged, or the images are not those of the card; `OtherCopyError` where
            they are not those that were read first.
    """
    try:
        return load_parts(registry.dataset(name), registry.module("dataset", name), folder)
    except UnavailableError:
        raise
    except UserError as error:
        raise UnavailableError(str(error)) from error


def load_once(registry: Registry, name: str, folder: Path) -> dict[str, Part]:
    """The parts of a data set, read once in this process for all cells that follow one another on it.

    Nobody writes to them. They are read again where the card, or a file that it names, is another than before.

    Args:
        registry: the cards.
        name: the data set.
        folder: the data directory.

    Raises:
        UnavailableError: a file is missing or damaged, or the images are not those of the card.
    """
    card = registry.dataset(name)
    try:
        files = tuple((folder / file.path).stat() for file in card.files)
    except OSError:
        return load_dataset(registry, name, folder)  # which says what is missing
    found = tuple((file.st_ino, file.st_size, file.st_mtime_ns) for file in files)
    key = (registry.paths.get(("dataset", name)), card.model_dump_json(), folder.absolute(), found)
    if key not in _last:
        _last.clear()
        _last[key] = load_dataset(registry, name, folder)
    return _last[key]
