"""A process reads the data of its cells once and holds them once; there are as many processes as jobs, not as cells."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from types import ModuleType

import pytest

from gcnnbench.cards.dataset_card import DatasetCard
from gcnnbench.data import registered
from gcnnbench.data.files import load_parts
from gcnnbench.data.parts import Part
from gcnnbench.errors import UnavailableError
from gcnnbench.runs import local
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.elsewhere import packed, take_elsewhere, unpacked
from gcnnbench.runs.local import execute
from gcnnbench.runs.store import Store
from gcnnbench.runs.turns import Turn
from gcnnbench.runs.work import Work

MakeCell = Callable[..., Cell]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each data set was decoded."""
    counted: Counter[str] = Counter()

    def loaded(card: DatasetCard, module: ModuleType, folder: Path) -> dict[str, Part]:
        counted[card.name] += 1
        return load_parts(card, module, folder)

    monkeypatch.setattr(registered, "load_parts", loaded)
    monkeypatch.setattr(registered, "_last", {})
    return counted


def test_cells_of_one_process_share_the_data_that_it_has_read(
    make_cell: MakeCell, tmp_path: Path, reads: Counter[str]
) -> None:
    cells = [make_cell("z2cnn@8", seed) for seed in range(2)]
    execute(cells, Store(tmp_path / "here"), lambda _: None)
    for cell in map(packed, cells):  # as on an executor, turn after turn
        next(take_elsewhere(Turn((cell,), (None,), 0.0, 0.0)))
        assert unpacked(cell).parts() is cells[0].parts()
    assert reads == {"digits": 1}
    assert len(registered._last) == 1, "and no more than one data set is held"


def test_a_file_that_was_changed_or_taken_away_is_noticed(
    make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, read = make_cell().registry, list[Path]()

    def load(_registry: object, _name: str, folder: Path) -> dict[str, Part]:
        read.append(folder)
        return {}

    monkeypatch.setattr(registered, "_last", {})
    monkeypatch.setattr(registered, "load_dataset", load)
    card = registry.dataset("mnist")
    paths = [tmp_path / file.path for file in card.files]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"as it was")
    for _ in range(2):
        registered.load_once(registry, "mnist", tmp_path)
    assert len(read) == 1
    os.utime(paths[-1], (1, 1))
    registered.load_once(registry, "mnist", tmp_path)
    assert len(read) == 2
    monkeypatch.undo()
    paths[0].unlink()
    with pytest.raises(UnavailableError, match=f"{paths[0].name} is missing"):
        registered.load_once(registry, "mnist", tmp_path)


def test_there_are_as_many_processes_as_jobs(
    make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight cells on two jobs: two processes, each with the plan of all eight, one copy of the data, one network."""
    started: list[Work] = []

    class Context:
        """Starts processes that do nothing, and remembers what each was to do."""

        def __init__(self, context: SpawnContext) -> None:
            self.Queue, self.Array, self.context = context.Queue, context.Array, context

        def Process(self, *, target: object, args: tuple[Work, object], daemon: bool) -> SpawnProcess:  # noqa: N802
            started.append(args[0])
            assert target is local._serve
            return self.context.Process(target=int, daemon=daemon)

    context = Context(multiprocessing.get_context("spawn"))
    monkeypatch.setattr(multiprocessing, "get_context", lambda method: {"spawn": context}[method])
    monkeypatch.setattr(local, "WAIT_SECONDS", 0.1)
    cells = [make_cell("z2cnn@8", seed) for seed in range(8)]
    assert execute(cells, Store(tmp_path), lambda _: None, jobs=2) == []
    assert [len(work.cells) for work in started] == [8, 8]
