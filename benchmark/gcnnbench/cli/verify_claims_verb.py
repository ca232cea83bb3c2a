"""`verify claims`: published numbers, curves and statements, judged by our records."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gcnnbench.cli.check_report import JUnit, report_checks
from gcnnbench.cli.exit_codes import CHECK_FAILED, SOME_CELLS_FAILED
from gcnnbench.cli.options import Data, DeviceName, Format, Include, OneBenchmark, OutputFormat, Results
from gcnnbench.cli.output import tell
from gcnnbench.cli.written_options import refuse_these
from gcnnbench.errors import UserError
from gcnnbench.formatting import how_many

if TYPE_CHECKING:
    from gcnnbench.cards.registry import Registry
    from gcnnbench.claims.rows import ClaimRow
    from gcnnbench.exports.junit import Case


def claims(
    *,
    benchmark: OneBenchmark = None,
    paper: Annotated[
        str | None, typer.Option(metavar="KEY", help="Only claims of this source, as in edixhoven2023.")
    ] = None,
    rerun: Annotated[
        bool, typer.Option("--rerun", help="First run the protocol's cells that undecided claims lack.")
    ] = False,
    device: Annotated[DeviceName, typer.Option(help="--rerun: where to run.")] = DeviceName.auto,
    junit: JUnit = None,
    data: Data,
    results: Results,
    include: Include,
    output: Format,
) -> None:
    """Say of every published claim what our records say about it.

    Ends with 1 if a claim is refuted without any assumption.
    """
    from gcnnbench.cards.registry import Registry

    registry = Registry.load(include)
    registry.chosen([benchmark] if benchmark else [])
    if not rerun:
        refuse_these("without --rerun", "device")

    from gcnnbench.claims.claims import claims_file
    from gcnnbench.claims.evidence import failed_seeds, gather, set_aside
    from gcnnbench.claims.judging import judge_claims
    from gcnnbench.claims.reading import read_claims
    from gcnnbench.claims.rows import warn_of_edits, with_failed, with_set_aside
    from gcnnbench.claims.text import claims_as_json, claims_as_markdown
    from gcnnbench.claims.tolerances import tolerances_since
    from gcnnbench.data.copies import on_copies

    registry = on_copies(registry, results)
    cards = read_claims(registry)
    sources = [card.source for card in cards]
    if paper is not None and paper not in sources:
        raise UserError(f"there are no claims of '{paper}'; there are those of {', '.join(sources)}")
    name = None
    if benchmark is not None:
        card = registry.benchmark(benchmark)
        name, registry = card.name, registry.at(card)
    chosen = [card for card in cards if paper in (None, card.source)]
    since = {card.source: tolerances_since(claims_file(registry, card.source)) for card in chosen}

    def judged() -> list[ClaimRow]:
        rows = warn_of_edits(judge_claims(registry, chosen, gather(registry, results)), since)
        rows = with_failed(with_set_aside(rows, set_aside(registry, results)), failed_seeds(registry, results))
        return [row for row in rows if name in (None, row.benchmark)]

    rows = judged()
    if not rows:
        chosen_by = " ".join([f"of {paper}"] * (paper is not None) + [f"about {benchmark}"] * (benchmark is not None))
        raise UserError(f"there are no claims {chosen_by}, so nothing was checked; leave --paper or --benchmark out")
    failed = 0
    if rerun:
        failed = _run_awaited(registry, rows, results, device.value, data)
        rows = judged()
    tell(claims_as_json(rows) if output is OutputFormat.json else claims_as_markdown(rows), output)
    report_checks("gcnnbench verify claims", [_case(row) for row in rows], junit)
    if any(row.fails for row in rows):
        raise typer.Exit(CHECK_FAILED)
    if failed:
        raise typer.Exit(SOME_CELLS_FAILED)


def _run_awaited(registry: Registry, rows: list[ClaimRow], results: Path, device: str, data: Path) -> int:
    """Run the cells that undecided claims lack, and say how many failed."""
    from gcnnbench.claims.next_steps import awaited_cells
    from gcnnbench.cli.progress import RunReport
    from gcnnbench.device import choose
    from gcnnbench.runs.local import execute
    from gcnnbench.runs.plan import on_read_copies, unfinished
    from gcnnbench.runs.store import Store

    store, place = Store(results), choose(device).type
    cells = unfinished(store, on_read_copies(registry, awaited_cells(registry, rows, store, place, data), results))
    typer.echo(f"{how_many(len(cells), 'cell')} of the protocols without a record, run now", err=True)
    if not cells:
        return 0
    with RunReport(len(cells)) as report:
        ended = execute(cells, store, report, min(os.cpu_count() or 1, len(cells)) if place == "cpu" else 1)
    return sum(event.kind != "finished" for event in ended)


def _case(row: ClaimRow) -> Case:
    from gcnnbench.exports.junit import Case, Fault

    decided = row.verdict in ("reproduced", "refuted")
    faults = (Fault(f"{row.source} {row.id}: {row.verdict_text}"),) if row.fails else ()
    return Case(f"{row.source}/{row.id}", faults, None if decided else row.verdict_text)
