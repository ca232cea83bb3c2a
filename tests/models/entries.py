"""The cards of models/ and their networks, made small from a fixed seed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

import torch
from torch import nn

from gcnnbench.cards.card_files import registered_cards
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cards.reading import open_card
from gcnnbench.errors import UserError

PATHS = [path for kind, path in registered_cards() if kind == "model"]
CARDS = {path.parent.name: open_card(path, ModelCard).card for path in sorted(PATHS)}
NAMES = list(CARDS)
WRAPPERS = ("augerino-z2cnn", "augerino-p4cnn", "z2cnn-turned", "z2cnn-averaged")
"""Networks that see turned copies: no feature of theirs is one of the image as it is."""


def narrow(name: str) -> dict[str, Any]:
    """The hyper-parameters of a card, its widths or growth small.

    Exactness, layouts and repeatability are no matter of the widths; these networks are as deep as they are.
    """
    hyperparameters: dict[str, Any] = dict(CARDS[name].hyperparameters)
    if "widths" in hyperparameters:
        hyperparameters["widths"] = tuple(range(2, 2 + len(hyperparameters["widths"])))
    if "growth" in hyperparameters:
        hyperparameters["growth"] = 2
    return hyperparameters


def built(name: str, size: int, channels: int = 3, classes: int = 10, *, whole: bool = False) -> nn.Module:
    """The network of a card in float64, from a fixed seed; narrow unless the whole of it is wanted."""
    build: Callable[..., nn.Module] = import_module(f"gcnnbench.models.{name}.model").build
    hyperparameters: dict[str, object] = dict(CARDS[name].hyperparameters if whole else narrow(name))
    if "black" in inspect.signature(build).parameters:
        hyperparameters["black"] = (0.0,) * channels
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return build(size=size, channels=channels, classes=classes, **hyperparameters).double()


def smallest(name: str) -> int:
    """The smallest input size that a network takes, as its card says."""
    size = CARDS[name].smallest_size
    assert size is not None, f"the card of {name} does not say which sizes it takes"
    return size


def small(name: str) -> int:
    """The first size from nine pixels on that a network takes; some take multiples of four alone."""
    first = max(9, smallest(name))
    for size in range(first, first + 4):
        with suppress(UserError):
            built(name, size)
            return size
    raise LookupError(f"{name} takes no size from {first} to {first + 3}")
