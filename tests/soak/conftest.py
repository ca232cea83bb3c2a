"""Soak tests: many kills, damages and mutations, a few of each by default and all of them with `--soak`.

`tox run -e soak` runs them whole and prints what was counted.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gcnnbench.cards.registry import Registry

TINY = Path(__file__).parents[1] / "runs" / "tiny.yaml"


@pytest.fixture(scope="session")
def whole(request: pytest.FixtureRequest) -> bool:
    """Whether all is asked for, or a sample."""
    return bool(request.config.getoption("--soak"))


@pytest.fixture
def draws() -> random.Random:
    """The same draws each time, so that what fails once can be looked at again."""
    return random.Random(20261127)


@pytest.fixture
def counted(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Iterator[Counter[str]]:
    """What happened how often; printed at the end."""
    counts: Counter[str] = Counter()
    yield counts
    with capsys.disabled():
        told = ", ".join(f"{number} {what}" for what, number in counts.items())
        print(f"\n{request.node.name}: {told}")  # noqa: T201


@pytest.fixture(scope="session")
def tiny_registry() -> Registry:
    """The registered cards and `tiny`, a benchmark of seconds."""
    registry = Registry.load([TINY])
    tiny = registry.benchmark("tiny").model_copy(update={"entries": ("z2cnn@8", "p4cnn@8")})
    return replace(registry, benchmarks={**registry.benchmarks, "tiny": tiny})
