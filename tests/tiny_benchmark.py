"""A benchmark of seconds, and cells of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.runs.cell import Cell

TINY = Path(__file__).parent / "runs" / "tiny.yaml"


@pytest.fixture(scope="session")
def tiny_card() -> Path:
    """A benchmark card for `--include`."""
    return TINY


@pytest.fixture(scope="session")
def tiny_registry() -> Registry:
    """The registered cards and `tiny`, with a P4CNN at sizes too small for its own card to name."""
    registry = Registry.load([TINY])
    tiny = registry.benchmark("tiny").model_copy(update={"entries": ("p4cnn@8", "p4cnn@9", "z2cnn@8")})
    return replace(registry, benchmarks={**registry.benchmarks, "tiny": tiny})


CellMaker = Callable[..., Cell]


@pytest.fixture
def make_cell(tiny_registry: Registry, tmp_path: Path) -> CellMaker:
    """A cell of `tiny` on the CPU with one thread, and what the test wants otherwise."""

    def make(entry: str = "p4cnn@8", seed: int = 0, threads: int = 1, limit: int | None = None) -> Cell:
        return Cell(tiny_registry, "tiny", entry, seed, "cpu", threads, tmp_path / "data", limit)

    return make
