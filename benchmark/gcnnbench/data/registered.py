"""Loads a registered data set: its card and its code from the registry, its files from the data directory."""

from __future__ import annotations

from pathlib import Path

from gcnnbench.cards.registry import Registry
from gcnnbench.data.files import load_parts
from gcnnbench.data.parts import Part
from gcnnbench.errors import UnavailableError, UserError


def load_dataset(registry: Registry, name: str, folder: Path) -> dict[str, Part]:
    """The parts of a data set, checked against its card.

    Args:
        registry: the cards.
        name: the data set.
        folder: the data directory.

    Raises:
        UnavailableError: a file is missing or damaged, or the images are not those of the card.
    """
    try:
        return load_parts(registry.dataset(name), registry.module("dataset", name), folder)
    except UserError as error:
        raise UnavailableError(str(error)) from error
