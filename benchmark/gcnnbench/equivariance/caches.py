"""What functions keep of their calls by `functools.lru_cache`: forgotten where an audit added to it.

A network may keep there what it made of its weights or in its arithmetic. Of other weights, or in another arithmetic,
that would be wrong, and must not be left to the network.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import ModuleType
from typing import Any

from torch import nn

CACHE = type(lru_cache(lambda: None))
LIBRARIES = ("torch", "e2cnn", "gcnnbench")
"""What these packages keep holds no weights and is of one arithmetic."""


@contextmanager
def forgetting(networks: Iterable[nn.Module]) -> Iterator[None]:
    """Empty in the end each cache that was added to: of the networks' classes, in their files and what these import."""
    kept = {function: function.cache_info().misses for function in _cached(networks)}
    try:
        yield
    finally:
        for function, misses in kept.items():
            if function.cache_info().misses > misses:
                function.cache_clear()


def _cached(networks: Iterable[nn.Module]) -> Iterator[Any]:
    kinds = {kind for network in networks for module in network.modules() for kind in type(module).__mro__}
    own = {kind for kind in kinds if kind.__module__.partition(".")[0] not in LIBRARIES}
    files = {sys.modules[kind.__module__] for kind in own if kind.__module__ in sys.modules}
    imported = {one for file in files for one in vars(file).values() if isinstance(one, ModuleType)}
    of_others = (*LIBRARIES, *sys.stdlib_module_names)
    files |= {one for one in imported if one.__name__.partition(".")[0] not in of_others}
    for names in map(vars, (*own, *files)):
        for value in list(names.values()):
            function = value.__func__ if isinstance(value, staticmethod | classmethod) else value
            if type(function) is CACHE:
                yield function
