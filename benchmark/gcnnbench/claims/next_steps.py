"""What would decide a claim that is undecided: the command that its row says, and the cells that `--rerun` runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.registry import Registry
from gcnnbench.claims.rows import ClaimRow
from gcnnbench.claims.verdicts import CURVE_SEEDS
from gcnnbench.formatting import how_many
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.plan import plan, unfinished
from gcnnbench.runs.store import Store

UNDECIDED = ("not run", "inconclusive")


def next_step(row: ClaimRow, card: BenchmarkCard) -> str:
    """The command that would bring a verdict, where there is none."""
    if card.superseded_by is not None:
        return ""
    command = f"gcnnbench run {card.name}" + "".join(f" --entry {entry}" for entry in row.entries)
    if row.verdict == "not run":
        return command
    if row.verdict != "inconclusive":
        return ""
    if row.statement and row.seeds >= (row.needed or 0):
        return f"more seeds: {command} --seeds 0-{2 * row.seeds - 1}"
    if row.curve and row.seeds < CURVE_SEEDS:
        return f"a curve is judged from {CURVE_SEEDS} seeds on: {command} --seeds 0-{CURVE_SEEDS - 1}"
    if row.judgement.single_run:
        return "one published run: no number of seeds is known to decide"
    if row.needed is None:
        return "too few published runs: no number of seeds would reproduce a true claim with probability 0.8"
    if row.seeds < row.needed:
        return f"{how_many(row.needed, 'seed')} would reproduce a true claim: {command} --seeds 0-{row.needed - 1}"
    return "as many seeds as a true claim needs: the shift is too near the tolerance to tell"


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
