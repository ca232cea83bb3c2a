"""What workers and engines of one call share: which cells are left, and how what a turn gives is kept in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Literal, Protocol

from gcnnbench.errors import UserError, told
from gcnnbench.plain_files import read_plain
from gcnnbench.runs import checkpoints
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.events import Event, Report, outcome
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.outcomes import Stopped
from gcnnbench.runs.plan import is_done, refuse_unread_copies, status, unfinished
from gcnnbench.runs.record import Failure
from gcnnbench.runs.seed_batches import Batches
from gcnnbench.runs.store import Store
from gcnnbench.runs.turns import Ended, Message, Restarted, Saved

WAIT_SECONDS = 1.0
ENDS = ("finished", "failed", "stopped")
TAKEN_OVER = (
    "its record was set aside meanwhile by one of another protocol of the same name and version, which is run on this "
    "results directory, too; what was made here is kept beside it as stale"
)


class Flags(Protocol):
    """A number for each cell, in memory or shared between processes."""

    def __getitem__(self, place: int, /) -> int: ...

    def __setitem__(self, place: int, value: int, /) -> None: ...


@dataclass(frozen=True)
class Work:
    """Cells to be run, with what all workers of one call know of them.

    Args:
        cells: the plan.
        store: where all is kept.
        before: the failure files that cells had left before: what another process lets fail now is not tried again.
        ended: for each cell whether this call has brought it to an end; then it stays so, whatever others make of it.
        parallel: seeds of an entry that are trained at once; `auto` takes what fits in memory.
        jobs: workers that share the memory.
    """

    cells: tuple[Cell, ...]
    store: Store
    before: Mapping[str, bytes | None]
    ended: Flags
    parallel: int | Literal["auto"]
    jobs: int
    _unsaved: set[str] = field(default_factory=set, init=False, repr=False)
    """The cells whose last checkpoint could not be kept."""

    def left(self, cells: Sequence[Cell]) -> list[Cell]:
        """Those of these cells that this call has not ended, and that have neither a record nor a new failure."""
        return [cell for cell in cells if not self.ended[self._places[cell.name]] and not self._was_ended(cell)]

    def batches(self) -> Batches:
        """What cuts cells into batches, along the checkpoints that are kept."""
        return Batches(self.parallel, self.jobs, partial(checkpoints.stated_in, self.store))

    def keep(self, cell: Cell, message: Message, report: Report) -> None:
        """Keep in the store what a turn gives of a claimed cell, and tell of it.

        A stopped cell leaves nothing but its last checkpoint, which goes on elsewhere or later. A checkpoint that
        cannot be written ends nothing: the cell goes on, and its next one is tried again.

        Raises:
            OSError: what came of a cell cannot be written; what was kept before stays.
        """
        match message:
            case Event():
                report(message)
            case Restarted():
                report(Event("said", cell.name, text=f"started anew: {message.why}"))
            case Saved():
                self._save(cell, message.state, report)
            case Ended():
                report(self._end(cell, message.end))
                self.ended[self._places[cell.name]] = 1

    def kept(self, cell: Cell, report: Report) -> bytes | None:
        """The last checkpoint of a cell; one that cannot be read is told."""
        content, why = checkpoints.read(self.store, cell)
        if why is not None:
            self.keep(cell, Restarted(cell.name, why), report)
        return content

    def tell_of_taken_over(self, ended: Sequence[Event], report: Report) -> None:
        """Tell of cells that this call has finished and in whose place another protocol's record stands now."""
        finished = {event.cell for event in ended if event.kind == "finished"}
        for cell in self.cells:
            if cell.name in finished and status(self.store, cell) == "stale":
                report(Event("said", cell.name, text=TAKEN_OVER))

    def _save(self, cell: Cell, state: bytes, report: Report) -> None:
        """Keep a checkpoint; where the disk does not take it, that is told once, and once that it does again."""
        path = self.store.state_path(cell)
        try:
            self.store.write(path, state)
        except OSError as error:
            if cell.name not in self._unsaved:
                self._unsaved.add(cell.name)
                whence = "from the last one kept" if path.is_file() else "anew"
                goes_on = f"it goes on, and the next is tried; interrupted before, it begins {whence}"
                text = f"a checkpoint cannot be kept, {goes_on}; {told(error)}"
                report(Event("said", cell.name, text=text))
        else:
            if cell.name in self._unsaved:
                self._unsaved.remove(cell.name)
                report(Event("said", cell.name, text="its checkpoints are kept again"))

    def _end(self, cell: Cell, end: Finished | Failure | Stopped) -> Event:
        match end:
            case Finished():
                self.store.add(cell, end)
                return Event("finished", cell.name, text=outcome(cell, end))
            case Failure():
                self.store.add_failure(cell, end)
                return Event("failed", cell.name, phase=end.phase, text=end.reason)
            case Stopped():
                return Event("stopped", cell.name, text=end.reason)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {cell.name: place for place, cell in enumerate(self.cells)}

    def _was_ended(self, cell: Cell) -> bool:
        """Whether some process has; what stands in its place and cannot be read is left for its owner to look at."""
        try:
            done = is_done(self.store, cell, self.store.record(cell))
        except UserError:
            return True
        return done or _failure_left(self.store, cell) != self.before[cell.name]


def work_on(
    cells: Sequence[Cell], store: Store, parallel: int | Literal["auto"], jobs: int, flags: Flags | None = None
) -> Work:
    """The work of a call: the cells that have no record yet.

    Args:
        cells: the plan.
        store: where records are kept; what killed writers left there is swept.
        parallel: seeds of an entry that are trained at once.
        jobs: workers that share the memory.
        flags: a flag for each cell of the plan, shared by the workers where they are processes.

    Raises:
        UserError: a record cannot be read, a spec names no copy of its data set, or what comes of a cell could not be
            written.
    """
    todo = tuple(unfinished(store, cells))
    refuse_unread_copies(todo)
    if todo:  # else nothing is written, and records may be on a disk that is read-only
        try:
            store.require_writable(*(path for cell in todo for path in store.places(cell)))
        except OSError as error:
            raise UserError(told(error)) from error
    store.sweep()
    before = {cell.name: _failure_left(store, cell) for cell in todo}
    return Work(todo, store, before, bytearray(len(todo)) if flags is None else flags, parallel, jobs)


def _failure_left(store: Store, cell: Cell) -> bytes | None:
    """The file that a cell left when it failed, whatever it holds; null where there is none."""
    try:
        return read_plain(store.failure_path(cell))
    except OSError:
        return None
