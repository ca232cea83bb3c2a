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

RUN = ("run", "quickstart", "--cuda-graphs")
FOR = "it is for --device cuda, seed by seed"


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
@pytest.mark.parametrize("seeds", ["4", "auto"])
def test_several_seeds_as_one(capsys: pytest.CaptureFixture[str], seeds: str) -> None:
    said = refused(capsys, "--device", "cuda", "--parallel", seeds)
    assert f"--cuda-graphs says nothing where several seeds are trained as one; {FOR}" in said


def test_several_seeds_as_one_on_an_engine(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "--device", "cuda", "--on", "ray", "--parallel", "2")
    assert f"says nothing where several seeds are trained as one; {FOR}" in said


def test_an_engine_is_given_cells_that_record_their_steps() -> None:
    cell = Cell(Registry.load(), "quickstart", "p4cnn@12", 0, "cuda", 1, Path("data"), cuda_graphs=True)
    there: Any = pickle.loads(pickle.dumps(packed(cell)))
    assert unpacked(there).cuda_graphs
    assert not unpacked(replace(there, cuda_graphs=False)).cuda_graphs
