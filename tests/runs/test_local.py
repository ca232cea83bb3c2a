"""Cells are shared between processes, survive being killed, and fail alone; the command says so by its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gcnnbench.runs import outcomes
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import run_cell
from gcnnbench.runs.events import Event
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.local import execute
from gcnnbench.runs.state import CellState
from gcnnbench.runs.store import Store
from gcnnbench.training.loop import DivergedError
from tests.stored_records import failures, records

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}


class Remembered:
    """A report that only remembers what happened."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __call__(self, event: Event) -> None:
        if event.kind != "advanced":
            self.told.append(f"{event.kind} {event.cell or event.total}")


def gcnnbench(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "gcnnbench", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False, timeout=300)


def test_a_failing_cell_leaves_its_reason_and_the_next_one_runs(
    make_cell: Callable[..., Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sometimes(cell: Cell, state: CellState) -> Iterator[CellState | Finished]:
        if cell.seed == 0:
            raise DivergedError("the loss is nan in epoch 1")
        if cell.seed == 1:
            raise ZeroDivisionError("a fault of the code")
        return run_cell(cell, state)

    monkeypatch.setattr(outcomes, "run_cell", sometimes)
    store, report = Store(tmp_path), Remembered()
    cells = [make_cell("z2cnn@8", seed) for seed in (0, 1, 2)]
    ended = execute(cells, store, report)
    assert [(event.kind, event.cell) for event in ended] == [
        ("failed", "tiny@1 z2cnn@8 seed 0"),
        ("failed", "tiny@1 z2cnn@8 seed 1"),
        ("finished", "tiny@1 z2cnn@8 seed 2"),
    ]
    first, second = failures(store)
    assert first.reason == "the loss is nan in epoch 1"
    assert second.reason == "ZeroDivisionError: a fault of the code"
    assert 'raise ZeroDivisionError("a fault of the code")' in second.details
    monkeypatch.setattr(outcomes, "run_cell", run_cell)
    assert [event.kind for event in execute(cells, store, report)] == ["finished", "finished"]
    assert failures(store) == []


def test_done_cells_are_not_run_again(make_cell: Callable[..., Cell], tmp_path: Path) -> None:
    store, report, cells = Store(tmp_path), Remembered(), [make_cell("z2cnn@8")]
    execute(cells, store, report)
    before = store.record_path(cells[0]).read_bytes()
    assert execute(cells, store, report) == []
    assert store.record_path(cells[0]).read_bytes() == before
    assert report.told == ["started tiny@1 z2cnn@8 seed 0", "finished tiny@1 z2cnn@8 seed 0"]


def test_several_jobs_do_every_cell_once_and_tell_of_all(make_cell: Callable[..., Cell], tmp_path: Path) -> None:
    store, report = Store(tmp_path), Remembered()
    cells = [make_cell("z2cnn@8", seed) for seed in range(3)]
    ended = execute(cells, store, report, jobs=2)
    assert sorted(event.cell for event in ended) == [f"tiny@1 z2cnn@8 seed {seed}" for seed in range(3)]
    assert len(records(store)) == 3
    alone = Store(tmp_path / "alone")
    execute(cells[:1], alone, report)
    first, second = alone.record(cells[0]), store.record(cells[0])
    assert first is not None
    assert second is not None
    assert first.weights == second.weights


def test_a_cell_that_another_process_holds_is_waited_for_and_taken_over(
    make_cell: Callable[..., Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, report, cell = Store(tmp_path), Remembered(), make_cell("z2cnn@8")
    held = Store(tmp_path).claim(cell)
    assert held.__enter__()

    def gone(_: float) -> None:
        held.__exit__(None, None, None)

    monkeypatch.setattr("gcnnbench.runs.worker.time.sleep", gone)
    execute([cell], store, report)
    assert report.told == ["waiting 1", "started tiny@1 z2cnn@8 seed 0", "finished tiny@1 z2cnn@8 seed 0"]


def test_two_processes_share_the_cells(tiny_card: Path, tmp_path: Path) -> None:
    words = ["run", "tiny", "--include", tiny_card, "--results", tmp_path, "--jobs", "1", "--device", "cpu"]
    command = [sys.executable, "-m", "gcnnbench", *map(str, words)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert sum(int(out.split()[0]) for out, _ in told) == 4
    assert len(records(Store(tmp_path))) == 4


def test_a_killed_run_goes_on_with_the_same_bits(tiny_card: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from gcnnbench.runs import worker; worker.CHECKPOINT_SECONDS = 0; "
        "from gcnnbench.cli import main; main(sys.argv[1:])"
    )
    words = ["run", "tiny", "--entry", "z2cnn@9", "--seeds", "1", "--include", str(tiny_card), "--jobs", "1"]
    command = [sys.executable, "-c", script, *words, "--device", "cpu", "--results"]
    subprocess.run([*command, str(tmp_path / "whole")], env=ENVIRONMENT, check=True, capture_output=True, timeout=300)

    with subprocess.Popen([*command, str(tmp_path / "killed")], env=ENVIRONMENT, stderr=subprocess.PIPE) as process:
        state = tmp_path / "killed" / ".work" / "tiny@1" / "z2cnn@9" / "seed-1.state"
        deadline = time.monotonic() + 120
        while not state.exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert not records(Store(tmp_path / "killed"))
    done = gcnnbench(*words, "--device", "cpu", "--results", tmp_path / "killed")
    assert "resumed after epoch" in done.stderr
    (whole,), (killed,) = (records(Store(tmp_path / name)) for name in ("whole", "killed"))
    assert killed.weights == whole.weights
    assert killed.outputs == whole.outputs
    assert killed.metrics == whole.metrics
    assert killed.provenance.sessions == 2


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find a process's children")
def test_workers_end_with_the_process_that_started_them(tiny_card: Path, tmp_path: Path) -> None:
    words = ("run", "tiny", "--include", tiny_card, "--entry", "z2cnn@9", "--device", "cpu", "--jobs", "2")
    command = [sys.executable, "-m", "gcnnbench", *map(str, words), "--results", str(tmp_path)]
    children: list[str] = []
    with subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while len(children) < 3 and time.monotonic() < deadline:  # two workers, and Python's tracker of resources
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while any(map(_runs, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(children) == 3
    assert [child for child in children if _runs(child)] == []
    assert not records(Store(tmp_path)), "the workers went on alone"


def _runs(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_command_line_from_plan_to_status(tiny_card: Path, tmp_path: Path) -> None:
    common = ("--include", tiny_card, "--results", tmp_path)
    forecast = gcnnbench("run", "tiny", "--dry-run", *common)
    assert forecast.returncode == 0, forecast.stderr
    assert "4 of 4 cells to run on" in forecast.stdout
    assert not (tmp_path / "tiny@1").exists()
    done = gcnnbench("run", "tiny", "--seeds", "0", "--entry", "z2cnn@8", *common)
    assert done.returncode == 0, done.stderr
    assert "1 cell run, 0 were done before, 0 failed" in done.stdout
    told = gcnnbench("status", "tiny", "--format", "json", *common)
    states = {(cell["entry"], cell["seed"]): cell["state"] for cell in json.loads(told.stdout)["cells"]}
    assert states == {
        ("z2cnn@8", 0): "done",
        ("z2cnn@9", 0): "planned",
        ("z2cnn@8", 1): "planned",
        ("z2cnn@9", 1): "planned",
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "mnist-uprigt"), "there is no benchmark 'mnist-uprigt'; did you mean mnist-upright?"),
        (("run", "quickstart", "--entry", "p4cnn@14"), "p4cnn@14 is no entry of quickstart@1"),
        (("run", "quickstart", "--seeds", "4-0"), "write single seeds and ranges"),
        (("run", "mnist-upright", "--data", "nowhere"), "gcnnbench fetch mnist"),
        (("run", "quickstart", "--limit", "0"), "--limit"),
    ],
)
def test_a_users_mistake_ends_with_2_and_one_message(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    told = gcnnbench(*words, "--results", tmp_path)
    assert told.returncode == 2
    assert message in told.stderr
    assert "Traceback" not in told.stderr
    assert told.stdout == ""
