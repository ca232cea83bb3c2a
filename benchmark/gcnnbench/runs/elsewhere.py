"""Packs cells for another machine, and takes their turn there.

A cell travels with its own cards and no others, and without the paths of registered entries, whose code the other
machine has in its own installation. Entries from elsewhere (`--include`) must stand at the same path there. The data
set is read once for each process, from the cell's data directory or from what the engine gives it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.card_files import Kind
from gcnnbench.data.parts import Part
from gcnnbench.device import keep_freed_memory
from gcnnbench.errors import UnavailableError, told
from gcnnbench.outside_text import as_line
from gcnnbench.runs import checkpoints
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.events import Event
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.outcomes import Stopped
from gcnnbench.runs.record import Failure
from gcnnbench.runs.turns import Ended, Message, Saved, Turn, take


def packed(cell: Cell, data: Path | None = None) -> Cell:
    """The cell with no more of the registry than it needs.

    Args:
        cell: what is to run elsewhere.
        data: the data directory there; the same path as here without.
    """
    slug, dataset, registry = split_entry(cell.entry)[0], cell.card.dataset, cell.registry
    needed: tuple[tuple[Kind, str], ...] = (("model", slug), ("dataset", dataset))
    paths = {key: path for key in needed if (path := registry.paths[key]) != _installed(*key)}
    own = replace(
        registry,
        models={slug: registry.model(slug)},
        datasets={dataset: registry.dataset(dataset)},
        benchmarks={cell.benchmark: cell.card},
        paths=paths,
        bibliography={},
        superseded={},
    )
    return replace(cell, registry=own, data=(data or cell.data).absolute())


def unpacked(cell: Cell) -> Cell:
    """The cell with the paths that its entries have on this machine.

    Raises:
        UnavailableError: this machine does not have the code of an entry.
    """
    paths = dict(cell.registry.paths)
    for kind, names in (("model", cell.registry.models), ("dataset", cell.registry.datasets)):
        for name in names:
            key: tuple[Kind, str] = ("model" if kind == "model" else "dataset", name)
            path = paths.get(key) or _installed(*key)
            if path is None or not path.is_file():
                raise UnavailableError(f"{kind} {name}: a worker has no {path or 'such entry in its installation'}")
            paths[key] = path
    return replace(cell, registry=replace(cell.registry, paths=paths))


def of_this_protocol(cell: Cell, message: Message) -> Message:
    """What was told of a cell; a stop, where a worker with another version of the suite ran another protocol."""
    match message:
        case Ended(end=Finished(record=record)):
            digest = record.spec_digest
            other = f"gcnnbench {record.provenance.suite_version}, commit {record.provenance.commit}"
        case Ended(end=Failure() as failure):
            digest, other = failure.spec_digest, "another version of the suite"
        case Saved():
            said = checkpoints.stated(message.state)
            digest, other = "" if said is None else said.digest, "another version of the suite"
        case _:
            return message
    if digest == cell.digest:
        return message
    return Ended(cell.name, Stopped(f"a worker ran another protocol under its name, with {other}"))


def take_elsewhere(turn: Turn, given: Mapping[str, Part] | None = None) -> Iterator[Message]:
    """Run a turn of packed cells on this machine; only the loss of this process keeps it from telling their ends.

    Args:
        turn: the cells with their states.
        given: the parts of their data set, where the engine has them; read from the data directory without.
    """
    keep_freed_memory()
    left = {cell.name for cell in turn.cells}
    try:
        cells = tuple(unpacked(cell) for cell in turn.cells)
        if given is not None:
            cells = tuple(replace(cell, given=dict(given)) for cell in cells)
        for message in take(replace(turn, cells=cells)):
            if isinstance(message, Ended):
                left.discard(message.cell)
            yield message
    except Exception as error:  # of this machine: what a cell does wrong is among the values that `take` gives
        why = told(error) if isinstance(error, UnavailableError | OSError) else f"{type(error).__name__}: {error}"
        yield from (Ended(name, Stopped(as_line(why))) for name in sorted(left))


def take_whole(turn: Turn) -> tuple[Message, ...]:
    """Run a turn of packed cells and give back all that it tells at once, without what is out of date by then."""
    found = list(take_elsewhere(turn))
    last = {(type(message), message.cell): place for place, message in enumerate(found)}
    return tuple(
        message
        for place, message in enumerate(found)
        if not _passing(message) or last[type(message), message.cell] == place
    )


def _passing(message: Message) -> bool:
    return isinstance(message, Saved) or (isinstance(message, Event) and message.kind == "advanced")


def _installed(kind: Kind, name: str) -> Path | None:
    """The card of a registered entry in this installation."""
    folders = import_module(f"gcnnbench.{kind}s").__path__
    found = (Path(folder) / name / f"{kind}.yaml" for folder in folders)
    return next((path for path in found if path.is_file()), None)
