"""A run that is killed anywhere, any number of times, ends with the same records, and leaves nothing half-written."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.runs import worker
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.files import read_files
from gcnnbench.runs.local import execute
from gcnnbench.runs.plan import status
from gcnnbench.runs.record import Record
from gcnnbench.runs.store import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")


def made(results: Path) -> dict[str, tuple[str, str]]:
    """The weights and outputs of every record, by its place; every file of the directory is one that can be used."""
    found = {}
    for file in read_files(results):
        assert isinstance(file.content, Record), f"{file.place}: {file.content}"
        record = file.content
        found[str(file.place)] = (record.weights.sha256, record.outputs.sha256 if record.outputs else "")
        assert (results / file.place).with_suffix(".safetensors").stat().st_size == record.weights.bytes
    return found


def strays(results: Path) -> list[str]:
    """Files outside the folder for temporary ones that are no records, weights, outputs, checkpoints or locks."""
    names = [path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()]
    kept = (".json", ".safetensors", ".state", ".lock")
    return [name for name in names if not name.endswith(kept) and not name.startswith(".work/tmp/")]


def killed_after(seconds: float, cells: list[Cell], store: Store) -> bool:
    """Run the cells in a process of its own and kill it; whether it was done before."""
    child = os.fork()
    if child == 0:
        try:
            execute(cells, store, lambda _: None)
        finally:
            os._exit(0)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            return True
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12 warns of forks beside threads
def test_killed_runs_lose_nothing_and_leave_nothing(
    tiny_registry: Registry,
    tmp_path: Path,
    whole: bool,
    draws: random.Random,
    counted: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "CHECKPOINT_SECONDS", -1.0)
    cells = [Cell(tiny_registry, "tiny", "z2cnn@8", seed, "cpu", 1, Path("unused")) for seed in range(2)]
    undisturbed = Store(tmp_path / "undisturbed")
    start = time.monotonic()
    execute(cells, undisturbed, lambda _: None)
    took = time.monotonic() - start
    expected = made(undisturbed.results)
    assert len(expected) == 2
    wanted = 320 if whole else 6
    while counted["kills"] < wanted:
        store = Store(tmp_path / "killed")
        while not killed_after(draws.uniform(0, took / 2), cells, store):
            counted["kills"] += 1
            assert strays(store.results) == []
            found = made(store.results)
            counted["kills with temporary files left"] += store.temporary.exists() and any(store.temporary.iterdir())
            assert found.items() <= expected.items(), "a record of other bits"
        assert {status(store, cell) for cell in cells} == {"done"}
        counted["records lost"] += len(expected.keys() - made(store.results).keys())
        assert made(store.results) == expected
        counted["runs completed with the same bits"] += 1
        store.sweep()
        counted["temporary files left in the end"] += len(list(store.temporary.glob("*")))
        shutil.rmtree(store.results)
    assert counted["temporary files left in the end"] == counted["records lost"] == 0
