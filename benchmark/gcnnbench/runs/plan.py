"""A plan is a list of cells; the state of each is what the results directory says of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from gcnnbench.cards.registry import Registry
from gcnnbench.cards.values import LARGEST_SEED
from gcnnbench.data.copies import UNKNOWN, lacks_digests, on_copies, settle
from gcnnbench.errors import OtherCopyError, UnavailableError, UserError
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.record import Record
from gcnnbench.runs.store import Store

CellStatus = Literal["planned", "interrupted", "running", "done", "failed", "stale", "incomplete", "unreadable"]


MOST_SEEDS = 10_000
"""Seeds that one text may name."""


def seeds_from(text: str) -> tuple[int, ...]:
    """The seeds that a text like `0-4` or `0,2,5-7` names, in order.

    Raises:
        UserError: the text has another form, names too many, or no record could say one of its seeds.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18})(?:-(\d{1,18}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise UserError(f"seeds {text!r}: write single seeds and ranges, as in 0-4 or 0,2,5-7")
        _refuse_beyond(last)
        if len(seeds) + last - first >= MOST_SEEDS:
            raise UserError(f"seeds {text!r}: more than {MOST_SEEDS:,} at once")
        seeds.extend(range(first, last + 1))
    return tuple(dict.fromkeys(seeds))


def _refuse_beyond(seed: int) -> None:
    if not 0 <= seed <= LARGEST_SEED:
        raise UserError(f"seed {seed}: a seed is at least 0 and at most {LARGEST_SEED:,}, as a record says it")


def plan(
    registry: Registry,
    benchmarks: Sequence[str],
    *,
    entries: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    device: str = "cpu",
    threads: int = 1,
    data: Path = Path(),
    limit: int | None = None,
    cuda_graphs: bool = False,
) -> list[Cell]:
    """The cells of these benchmarks, seed by seed, so that every entry has its first seed before any has its second.

    Args:
        registry: the cards.
        benchmarks: names of benchmarks.
        entries: only these entries; all of a card without.
        seeds: these seeds; those of the protocol without.
        device: where the cells run.
        threads: CPU threads of each cell.
        data: the data directory.
        limit: at most so many images of each share: the records are unofficial.
        cuda_graphs: record training steps as CUDA graphs, where that can be done.

    Raises:
        UserError: a benchmark is unknown, none of them has one of the entries, or no record could say a seed.
    """
    for seed in seeds or ():
        _refuse_beyond(seed)
    cards = registry.chosen(benchmarks, entries)
    for card in cards:
        if card.superseded_by is not None:
            raise UserError(
                f"{card.full_name} is superseded by version {card.superseded_by} and no longer run; its records stay: "
                f"gcnnbench leaderboard {card.full_name}"
            )
    return [
        Cell(registry, card.name, entry, seed, device, threads, data, limit, cuda_graphs)
        for card in cards
        for seed in (range(card.seeds) if seeds is None else seeds)
        for entry in card.entries
        if not entries or entry in entries
    ]


def status(store: Store, cell: Cell) -> CellStatus:
    """What the results directory says of a cell; nothing is written to find out.

    `stale`: there is a record of the same version made by another protocol, or with another limit; `incomplete`: a
    record without the weights that it commits. Both would be run again. `unreadable`: what stands in the place of its
    record is none.
    """
    try:
        record = store.record(cell)
    except UserError:
        return "unreadable"
    if is_done(store, cell, record):
        return "done"
    if store.is_held(cell):
        return "running"
    if store.state_path(cell).is_file():
        return "interrupted"
    if store.failure_path(cell).exists():
        return "failed"
    if record is None:
        return "planned"
    return "incomplete" if _is_of(cell, record) else "stale"


def is_done(store: Store, cell: Cell, record: Record | None) -> bool:
    """Whether this is the whole record of a cell's own protocol, and of its own limit where it has one."""
    return record is not None and _is_of(cell, record) and store.is_whole(cell, record)


def _is_of(cell: Cell, record: Record) -> bool:
    return (record.spec_digest, record.unofficial_because) == (cell.digest, cell.unofficial_because)


def on_read_copies(registry: Registry, cells: Sequence[Cell], results: Path) -> list[Cell]:
    """The cells on the copies of their data sets that are read now, before anything is trained.

    A data set whose card knows no digest is first settled on one copy: that of the data directory, which must be that
    of the results directory. A missing file is told once.

    Args:
        registry: the cards as they are written, whatever copies are recorded.
        cells: the plan.
        results: the results directory.

    Raises:
        UnavailableError: a data set cannot be read; `OtherCopyError` where the results directory's records, or what was
            read first, are another copy.
    """
    from gcnnbench.data.registered import load_dataset

    for name, data in dict.fromkeys((cell.card.dataset, cell.data) for cell in cells):
        load_dataset(registry, name, data)
        settle(registry, name, data, results)
    read = {data: on_copies(registry, data) for data in {cell.data for cell in cells}}
    return [replace(cell, registry=read[cell.data]) for cell in cells]


def other_copies(registry: Registry, cells: Sequence[Cell], results: Path) -> Iterator[str]:
    """Of each data set that is here and is no longer the copy these finished cells were made on, what is told of it.

    Only cards that state no digests are asked about; what is not here at all is needed for nothing.
    """
    for name in dict.fromkeys(cell.card.dataset for cell in cells):
        if lacks_digests(registry.dataset(name)):
            try:
                on_read_copies(registry, [cell for cell in cells if cell.card.dataset == name], results)
            except OtherCopyError as error:
                yield str(error)
            except UnavailableError:
                continue


def refuse_unread_copies(cells: Iterable[Cell]) -> None:
    """Refuse cells whose spec names no copy of a data set: nobody could say what their records were made on.

    Raises:
        UserError: one of them does not.
    """
    for cell in cells:
        if unread := [part for part, digest in cell.spec["data"].items() if digest == UNKNOWN]:
            told = f"its spec names no copy of part {unread[0]} of {cell.card.dataset}; read the data set first"
            raise UserError(f"{cell.name}: {told}")


def unfinished(store: Store, cells: Iterable[Cell]) -> list[Cell]:
    """The cells without a whole record of their own protocol.

    Raises:
        UserError: what stands in the place of a cell's record is none.
    """
    return [cell for cell in cells if not is_done(store, cell, store.record(cell))]
