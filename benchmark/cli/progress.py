"""How a run tells of itself on stderr: a live bar with rate and remaining time on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from benchmark.runs.cell import Cell
    from benchmark.runs.record import Failure, Record
    from benchmark.runs.running import CellState

LINE_SECONDS = 30.0


class RunReport:
    """Tells how the cells of a plan go on; a context manager.

    Args:
        cells: how many cells are to be run.
    """

    def __init__(self, cells: int) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.cells = self.progress.add_task("cells", total=cells, rate="")
        self.current: TaskID | None = None
        self.said = time.monotonic()
        self.done = 0
        self.total = cells

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def started(self, cell: Cell, resumed: CellState | None) -> None:
        """Name the cell, and what is already done of it."""
        how = f"resumed after epoch {resumed.training.epochs_done}, in {resumed.phase}" if resumed else "started"
        self.console.print(f"[{self.done + 1}/{self.total}] {cell.name} on {cell.device}: {how}", markup=False)
        curve = cell.card.evaluation.curve.angles
        self.conditions = _elements(cell) + len(curve)
        self.current = self.progress.add_task("  training", total=cell.card.recipe.epochs, rate="")
        self.said = time.monotonic()

    def advanced(self, cell: Cell, state: CellState) -> None:
        """Move the bar; without a terminal, say so now and then."""
        training, evaluation = state.training, state.evaluation
        if state.phase == "training":
            spent = sum(epoch["seconds"] for epoch in training.history)
            rate = f"{training.images_seen / spent:,.0f} images/s"
            done, total, what = training.epochs_done, cell.card.recipe.epochs, "training"
        else:
            rate = f"{evaluation.scored / max(evaluation.seconds, 1e-9):,.0f} images/s"
            done, total, what = len(evaluation.logits) + len(evaluation.classes), self.conditions, "scoring"
        if self.current is not None:
            self.progress.update(self.current, description=f"  {what}", completed=done, total=total, rate=rate)
        if not self.console.is_terminal and time.monotonic() - self.said > LINE_SECONDS:
            self.console.print(f"    {what} {done}/{total}, {rate}", markup=False)
            self.said = time.monotonic()

    def finished(self, cell: Cell, record: Record) -> None:
        """Say what came out."""
        accuracy, orbit = record.metrics["accuracy.upright"], record.metrics["accuracy.orbit"]
        cost = record.cost
        self._close(
            f"{cell.name}: upright {100 * (accuracy or 0):.2f}%, orbit {100 * (orbit or 0):.2f}%"
            f" in {cost.train_seconds + cost.test_seconds:,.0f} s"
        )

    def failed(self, cell: Cell, failure: Failure) -> None:
        """Say why."""
        self._close(f"{cell.name}: FAILED in {failure.phase}: {failure.reason}")

    def waiting(self, cells: int) -> None:
        """Say once in a while that other processes hold what is left."""
        if time.monotonic() - self.said > LINE_SECONDS:
            self.console.print(f"    waiting for {cells} cells that other processes run", markup=False)
            self.said = time.monotonic()

    def _close(self, line: str) -> None:
        self.done += 1
        if self.current is not None:
            self.progress.remove_task(self.current)
            self.current = None
        self.progress.advance(self.cells)
        self.console.print(f"    {line}", markup=False)


def duration(seconds: float) -> str:
    """Seconds as a reader takes them in: `45 s`, `12 min`, `3.5 h`, `2.1 days`."""
    for unit, size, limit in (("s", 1, 90), ("min", 60, 90 * 60), ("h", 3600, 36 * 3600)):
        if seconds < limit:
            return f"{seconds / size:.1f} {unit}" if unit == "h" else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.1f} days"


def _elements(cell: Cell) -> int:
    from benchmark.nn.groups import group

    return len(group(cell.card.evaluation.group))
