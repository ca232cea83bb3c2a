"""What functions keep of their calls by `functools.lru_cache`: forgotten where an audit added to it.

A network may keep there what it made of its weights or in its arithmetic. Of other weights, or in another arithmetic,
that would be wrong, and must not be left to the network.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from torch import nn

CACHE = type(lru_cache(lambda: None))
LIBRARIES = ("torch", "e2cnn", "gcnnbench")
"""What these packages keep holds no weights and is of one arithmetic."""


@contextmanager
def forgetting(networks: Iterable[nn.Module]) -> Iterator[None]:
    """Empty in the end each cache, of the networks' classes and in the files of these, that has grown meanwhile."""
    kept = {function: function.cache_info().currsize for function in _cached(networks)}
    try:
        yield
    finally:
        for function, size in kept.items():
            if function.cache_info().currsize > size:
                function.cache_clear()


def _cached(networks: Iterable[nn.Module]) -> Iterator[Any]:
    kinds = {kind for network in networks for module in network.modules() for kind in type(module).__mro__}
    own = {kind for kind in kinds if kind.__module__.partition(".")[0] not in LIBRARIES}
    files = {kind.__module__ for kind in own} & sys.modules.keys()
    for names in (*map(vars, own), *(vars(sys.modules[file]) for file in files)):
        for value in list(names.values()):
            function = value.__func__ if isinstance(value, staticmethod | classmethod) else value
            if type(function) is CACHE:
                yield function
