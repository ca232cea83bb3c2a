"""The cells that claims wait for: those of the protocol that have no record yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gcnnbench.cards.registry import Registry
from gcnnbench.claims.rows import ClaimRow
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.plan import plan, unfinished
from gcnnbench.runs.store import Store

UNDECIDED = ("not run", "inconclusive")


def awaited_cells(registry: Registry, rows: Sequence[ClaimRow], store: Store, device: str, data: Path) -> list[Cell]:
    """The protocol's cells without a record, of every entry that an undecided claim is about; each once.

    Seeds beyond the protocol's are not among them: how many would decide stands in the claim's row.

    Args:
        registry: the cards.
        rows: the claims as judged by the records that are there.
        store: the results directory.
        device: where the cells run.
        data: the data directory.
    """
    wanted: dict[str, dict[str, None]] = {}
    for row in rows:
        if row.benchmark is not None and row.verdict in UNDECIDED:
            wanted.setdefault(row.benchmark, {}).update(dict.fromkeys(row.entries))
    cells = [
        cell
        for benchmark, entries in wanted.items()
        for cell in plan(registry, [benchmark], entries=list(entries), device=device, threads=1, data=data)
    ]
    return unfinished(store, cells)
