"""Progress of a run on stderr: live bars with rate and remaining time on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO, TypeVar, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from gcnnbench.escaping import terminal
from gcnnbench.formatting import how_many

if TYPE_CHECKING:
    from gcnnbench.runs.events import Event

Item = TypeVar("Item")

LINE_SECONDS = 30.0


class _Log:
    """A text stream that loses what it cannot take: a full disk, or a reader that is gone, ends no run.

    Args:
        stream: where lines and bars go.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write it, or not."""
        with suppress(OSError):
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Have it written, or not."""
        with suppress(OSError):
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class RunReport:
    """Tells how the cells of a plan go on; a context manager, called with each event.

    Args:
        cells: how many cells are to be run.
    """

    def __init__(self, cells: int) -> None:
        self.console = Console(file=cast("TextIO", _Log(sys.stderr)), highlight=False)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.all = self.progress.add_task("all cells", total=cells, rate="")
        self.total, self.ended = cells, 0
        self.running: dict[str, TaskID] = {}
        self.said = time.monotonic()

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def __call__(self, event: Event) -> None:
        """Show an event: a start and an end always, progress on a terminal's bars or now and then as a line."""
        match event.kind:
            case "started":
                self.running[event.cell] = self.progress.add_task(event.cell, total=None, rate="")
                if "resumed" in event.text:
                    self._say(f"{event.cell}: {event.text}")
            case "advanced":
                rate = f"{event.phase}, {event.images_per_second:,.0f} images/s"
                self.progress.update(self.running[event.cell], completed=event.done, total=event.total, rate=rate)
                self._now_and_then(f"{event.cell}: {event.done}/{event.total} {rate}")
            case "waiting":
                if not self.running:  # else an idle worker of this call waits for another one
                    self._now_and_then(f"waiting for {how_many(event.total, 'cell')} of other processes")
            case "said":
                self._say(f"{event.cell}: {event.text}")
            case "finished" | "failed" | "stopped":
                self.ended += 1
                if event.cell in self.running:
                    self.progress.remove_task(self.running.pop(event.cell))
                self.progress.advance(self.all)
                failed = {"failed": f"FAILED in {event.phase}: ", "stopped": "stopped: "}.get(event.kind, "")
                self._say(f"[{self.ended}/{self.total}] {event.cell}: {failed}{event.text}")

    def _now_and_then(self, line: str) -> None:
        if not self.console.is_terminal and time.monotonic() - self.said > LINE_SECONDS:
            self._say(line)

    def _say(self, line: str) -> None:
        self.console.print(terminal(line), markup=False, soft_wrap=True)
        self.said = time.monotonic()


def steps(items: Sequence[Item], name: Callable[[Item], str]) -> Iterator[Item]:
    """The items one after another, with a bar on a terminal's stderr that says which one is at work."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, redirect_stdout=False, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=len(items))
        for item in items:
            bar.update(task, description=terminal(name(item)), refresh=True)
            yield item
            bar.advance(task)
