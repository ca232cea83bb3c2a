"""`run --cuda-graphs` is refused where it would say nothing, and a cell keeps what it asks for wherever it runs."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gcnnbench.cards.registry import Registry
from gcnnbench.cli import main
from gcnnbench.cli.exit_codes import MISTAKE
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.elsewhere import packed, unpacked
from gcnnbench.runs.events import Event

RUN = ("run", "quickstart", "--cuda-graphs")
FOR = "it is for --device cuda"


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command says when it ends as a wrong one does; it leaves no results."""
    with pytest.raises(SystemExit) as ending:
        main([*RUN, *words])
    captured = capsys.readouterr()
    assert (ending.value.code, captured.out) == (MISTAKE, "")
    return " ".join(captured.err.split())


@pytest.fixture
def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gcnnbench.device.choose", lambda _: torch.device("cuda"))


def test_off_cuda(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = refused(capsys, "--device", "cpu", "--results", str(tmp_path / "new"))
    assert f"--cuda-graphs says nothing on cpu; {FOR}" in said
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("engine", ["ray", "anything:at_all"])
def test_on_an_engine_off_cuda(capsys: pytest.CaptureFixture[str], engine: str) -> None:
    assert f"says nothing on cpu; {FOR}" in refused(capsys, "--on", engine)


@pytest.mark.usefixtures("on_a_gpu")
def test_as_many_seeds_as_fit(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "--device", "cuda", "--parallel", "auto")
    assert "--parallel auto measures seeds that are one computation" in said
    assert "with --cuda-graphs they are trained side by side: write a number" in said


@pytest.mark.usefixtures("on_a_gpu")
@pytest.mark.parametrize("engine", [(), ("--on", "ray")])
def test_several_seeds_are_handed_on_with_both_options(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: tuple[str, ...]
) -> None:
    given = list[tuple[bool, int]]()

    def local(cells: list[Cell], _store: object, _report: object, _jobs: int, parallel: int) -> list[Event]:
        given.append((all(cell.cuda_graphs for cell in cells), parallel))
        return []

    def engines(cells: list[Cell], *_: object, parallel: int, **__: object) -> list[Event]:
        return local(cells, None, None, 1, parallel)

    monkeypatch.setattr("gcnnbench.runs.local.execute", local)
    monkeypatch.setattr("gcnnbench.runs.engine.hand_out", engines)
    monkeypatch.setattr("gcnnbench.cli.run_verb.engine_for", lambda *_, **__: None)
    with pytest.raises(SystemExit) as ending:
        main([*RUN, "--device", "cuda", "--parallel", "2", "--results", str(tmp_path), *engine])
    assert ending.value.code == 0
    assert given == [(True, 2)]


def test_an_engine_is_given_cells_that_record_their_steps() -> None:
    cell = Cell(Registry.load(), "quickstart", "p4cnn@12", 0, "cuda", 1, Path("data"), cuda_graphs=True)
    there: Any = pickle.loads(pickle.dumps(packed(cell)))
    assert unpacked(there).cuda_graphs
    assert not unpacked(replace(there, cuda_graphs=False)).cuda_graphs
