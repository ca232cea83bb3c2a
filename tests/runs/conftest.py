from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.cards.registry import Registry
from benchmark.cards.schema import Adam, Curve, Fill, Share, Split
from benchmark.runs.cell import Cell


@pytest.fixture(scope="session")
def tiny_registry() -> Registry:
    """The registered cards and `tiny`: quickstart with few images, two epochs chosen by validation, and four angles."""
    registry = Registry.load()
    card = registry.benchmark("quickstart")
    share = Split(
        train=Share(part="all", images=240),
        validation=Share(part="all", images=32),
        test=Share(part="all", images=64),
        shuffle="fixed",
    )
    tiny = card.model_copy(
        update={
            "name": "tiny",
            "split": share,
            "recipe": card.recipe.model_copy(
                update={
                    "epochs": 3,
                    "batch_size": 8,
                    "optimiser": Adam(name="adam", learning_rate=0.004),
                    "tested_model": "best-validation",
                }
            ),
            "evaluation": card.evaluation.model_copy(
                update={
                    "curve": Curve(step=90, fill=Fill(value=0.0, scale="before-normalisation")),
                    "equivariance_images": 16,
                }
            ),
            "entries": ("p4cnn@8", "p4cnn@9", "z2cnn@8"),
            "seeds": 2,
        }
    )
    return replace(registry, benchmarks={**registry.benchmarks, "tiny": tiny})


CellMaker = Callable[..., Cell]


@pytest.fixture
def make_cell(tiny_registry: Registry, tmp_path: Path) -> CellMaker:
    """A cell of `tiny` on the CPU with one thread, and what the test wants otherwise."""

    def make(entry: str = "p4cnn@8", seed: int = 0, **changes: object) -> Cell:
        cell = Cell(tiny_registry, "tiny", entry, seed, "cpu", 1, tmp_path / "data")
        return replace(cell, **changes)  # type: ignore[arg-type]

    return make
