"""A network that calls `sys.exit` ends its own cell, and neither the run nor the forecast of the others."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.cards.entries import build_network, load_module
from gcnnbench.cards.registry import Registry
from gcnnbench.errors import UserError
from gcnnbench.runs import estimate
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.local import execute
from gcnnbench.runs.outcomes import steps
from gcnnbench.runs.record import Failure
from gcnnbench.runs.state import start
from gcnnbench.runs.store import Store


class Leaving(nn.Module):
    """Ends in its first step."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.error = error

    def forward(self, _: Tensor) -> Tensor:
        raise self.error


@pytest.fixture
def leaving(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Lets each z2cnn that is built from now on raise an error when it is called."""
    build = Registry.build

    def replace(error: BaseException) -> None:
        def built(registry: Registry, entry: str, *more: Any, **options: Any) -> nn.Module:
            return Leaving(error) if entry.startswith("z2cnn") else build(registry, entry, *more, **options)

        monkeypatch.setattr(Registry, "build", built)

    return replace


def test_its_cell_has_failed_and_the_next_one_runs(
    make_cell: Callable[..., Cell], tmp_path: Path, leaving: Callable[[BaseException], None]
) -> None:
    leaving(SystemExit(0))
    store, left, other = Store(tmp_path), make_cell("z2cnn@8"), make_cell("p4cnn@8")
    execute([left, other], store, lambda _: None)
    failure = store.failure(left)
    assert isinstance(failure, Failure)
    assert failure.reason == "SystemExit: 0"
    assert "raise self.error" in failure.details
    assert store.record_path(other).exists()


@pytest.mark.parametrize(
    ("error", "said"), [(SystemExit(3), "it calls sys.exit(3)"), (RuntimeError("too small"), "RuntimeError: too small")]
)
def test_the_forecast_says_which_network_cannot_be_run(
    make_cell: Callable[..., Cell], leaving: Callable[[BaseException], None], error: BaseException, said: str
) -> None:
    leaving(error)
    broken, other = estimate.forecast([make_cell("z2cnn@8"), make_cell("p4cnn@8")])
    assert isinstance(broken, UserError)
    assert str(broken).startswith(f"{said} ({__file__}, line ")
    assert isinstance(other, estimate.Estimate)


def test_a_worker_that_is_told_to_end_fails_no_cell(
    make_cell: Callable[..., Cell], leaving: Callable[[BaseException], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Ray tells its workers: by a handler of SIGTERM that raises SystemExit wherever the process is."""

    def ended(_: object, __: object) -> None:
        raise SystemExit(1)

    before = signal.signal(signal.SIGTERM, ended)
    monkeypatch.setattr(Leaving, "forward", lambda *_: signal.raise_signal(signal.SIGTERM))
    leaving(SystemExit(0))
    cell = make_cell("z2cnn@8")
    try:
        with pytest.raises(SystemExit):
            list(steps(cell, start(cell)))
    finally:
        signal.signal(signal.SIGTERM, before)


def built(model: str, place: Path) -> nn.Module:
    """The network of an entry with this code."""
    (place / "model.py").write_text(model)
    module = load_module("model", "leaving", place, ())
    return build_network(module, "leaving@8", size=8, channels=1, classes=2, hyperparameters={})


@pytest.mark.parametrize("model", ["raise SystemExit(4)\n", "def build(**_):\n    raise SystemExit(4)\n"])
def test_code_that_leaves_when_it_is_read_is_a_mistake_of_the_entry(model: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="SystemExit: 4"):
        built(model, tmp_path)
