"""`verify`: published claims and our own records, put to the test."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gcnnbench.cli.check_report import JUnit, report_checks, shown_path
from gcnnbench.cli.options import Data, Format, Include, OutputFormat, Results, default_data
from gcnnbench.cli.output import tell
from gcnnbench.cli.run_verbs import SOME_CELLS_FAILED, DeviceName, Entries, Seeds
from gcnnbench.errors import UserError
from gcnnbench.formatting import how_many

if TYPE_CHECKING:
    from gcnnbench.cards.registry import Registry
    from gcnnbench.claims.rows import ClaimRow
    from gcnnbench.exports.junit import Case
    from gcnnbench.record_checks.recomputing import DeeperCheck
    from gcnnbench.record_checks.rows import Chosen, RecordRow

CHECK_FAILED = 1


class Rescore(StrEnum):
    """What of a record is scored again from its weights."""

    none = "none"
    upright = "upright"
    elements = "elements"
    all = "all"


Benchmark = Annotated[str | None, typer.Option(metavar="NAME", help="Only this benchmark.")]


def claims(
    *,
    benchmark: Benchmark = None,
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
    from gcnnbench.data.copies import on_copies

    registry = on_copies(Registry.load(include), results)
    _claims(registry, results, paper, benchmark, output, device.value if rerun else None, data, junit)


def records(
    *,
    benchmark: Benchmark = None,
    entries: Entries,
    seeds: Seeds = None,
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="GCNNBENCH_DATA",
            metavar="DIR",
            help="Where the data sets are; score the records again on them, from their weights.",
        ),
    ] = None,
    rescore: Annotated[
        Rescore | None,
        typer.Option(
            help="Which counts are scored again: of the upright images, of all group elements, or of the rotation "
            "curve, too.",
            show_default="upright where --data is given, else none",
        ),
    ] = None,
    retrain: Annotated[int | None, typer.Option(min=0, metavar="SEED", help="Train those of this seed again.")] = None,
    device: Annotated[
        DeviceName | None, typer.Option(help="Where to run.", show_default="the record's own, where it is here")
    ] = None,
    junit: JUnit = None,
    results: Results,
    include: Include,
    output: Format,
) -> None:
    """Say of every record whether it holds.

    Records are recomputed from their own counts; with --data they are scored again from their weights, and --retrain
    makes them again from their seed. Ends with 1 if a record, its weights or a kept table is refused, or if nothing
    could be checked of what was asked for.
    """
    from gcnnbench.cards.registry import Registry
    from gcnnbench.data.copies import on_copies

    registry = on_copies(Registry.load(include), results)
    chosen = _chosen(registry, benchmark, entries, seeds)
    asked = rescore or (Rescore.none if data is None else Rescore.upright)
    further = None
    if asked is not Rescore.none or retrain is not None:
        further = _further(registry, results, data or default_data(), asked, retrain, device)
    _records(registry, results, output, chosen, further, junit)


def weights(
    *,
    weights: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="A folder with the released files, under any names; each is known by its sha256."
        ),
    ],
    paper: Annotated[
        str | None, typer.Option(metavar="KEY", help="Only weights of this source, as in romero2020.")
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=100, metavar="N", help="Only so many test images.", show_default="all")
    ] = None,
    data: Data,
    include: Include,
    output: Format,
) -> None:
    """Score weights that others released, and say whether they give their published numbers back.

    Files are fetched by hand and read without unpickling. Ends with 1 if a number does not come back, or if no file is
    there.
    """
    from gcnnbench.cards.registry import Registry
    from gcnnbench.claims.reading import read_claims
    from gcnnbench.record_checks.released_weights import verify_weights
    from gcnnbench.record_checks.released_weights_text import as_json, as_text

    registry = Registry.load(include)
    cards = [card for card in read_claims(registry) if card.weights]
    chosen = [card for card in cards if paper in (None, card.source)]
    if not chosen:
        raise UserError(f"'{paper}' released no weights that are registered; {', '.join(c.source for c in cards)} did")
    rows = verify_weights(registry, chosen, weights, data, images)
    typer.echo(as_json(rows) if output is OutputFormat.json else as_text(rows), nl=False)
    if any(row.fails for row in rows) or all(row.verdict == "not here" for row in rows):
        raise typer.Exit(CHECK_FAILED)


def _claims(
    registry: Registry,
    results: Path,
    paper: str | None,
    benchmark: str | None,
    output: OutputFormat,
    device: str | None,
    data: Path,
    junit: Path | None,
) -> None:
    from gcnnbench.claims.claims import claims_file
    from gcnnbench.claims.evidence import gather, set_aside
    from gcnnbench.claims.judging import judge_claims
    from gcnnbench.claims.reading import read_claims
    from gcnnbench.claims.rows import tell_aside, warn_of_edits
    from gcnnbench.claims.text import claims_as_json, claims_as_markdown
    from gcnnbench.claims.tolerances import tolerances_since

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
        rows = tell_aside(rows, set_aside(registry, results))
        return [row for row in rows if name in (None, row.benchmark)]

    rows = judged()
    if not rows:
        raise UserError("no claim is chosen, and nothing checked is nothing right; leave --paper or --benchmark out")
    failed = 0
    if device is not None:
        failed = _run_awaited(registry, rows, results, device, data)
        rows = judged()
    tell(claims_as_json(rows) if output is OutputFormat.json else claims_as_markdown(rows), output)
    report_checks("gcnnbench verify claims", [_claim_case(row) for row in rows], junit)
    if any(row.fails for row in rows):
        raise typer.Exit(CHECK_FAILED)
    if failed:
        raise typer.Exit(SOME_CELLS_FAILED)


def _run_awaited(registry: Registry, rows: list[ClaimRow], results: Path, device: str, data: Path) -> int:
    """Run the cells that undecided claims lack, and say how many failed."""
    from gcnnbench.claims.rerun import awaited_cells
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


def _chosen(registry: Registry, benchmark: str | None, entries: list[str], seeds: str | None) -> Chosen:
    from gcnnbench.record_checks.rows import Chosen
    from gcnnbench.runs.plan import seeds_from

    if benchmark is not None:
        registry.benchmark(benchmark.partition("@")[0])  # records of any version are chosen, also of one gone from here
    return Chosen(benchmark, tuple(entries), None if seeds is None else seeds_from(seeds))


def _further(
    registry: Registry, results: Path, data: Path, asked: Rescore, seed: int | None, device: DeviceName | None
) -> DeeperCheck:
    from gcnnbench.device import keep_freed_memory
    from gcnnbench.record_checks.conditions import Conditions
    from gcnnbench.record_checks.grading import Grading

    keep_freed_memory()
    return Grading(
        registry=registry,
        results=results,
        data=data,
        conditions=None if asked is Rescore.none else Conditions(asked.value),
        seed=seed,
        device=None if device is None else device.value,
        tell=lambda line: typer.echo(line, err=True),
    )


def _records(
    registry: Registry,
    results: Path,
    output: OutputFormat,
    chosen: Chosen,
    further: DeeperCheck | None,
    junit: Path | None,
) -> None:
    from gcnnbench.cards.messages import choice
    from gcnnbench.cards.registry import Registry
    from gcnnbench.cli.progress import steps
    from gcnnbench.record_checks.made_again import mac_count
    from gcnnbench.record_checks.recomputing import verify_records
    from gcnnbench.record_checks.text import records_as_json, records_as_text

    rows = verify_records(
        registry,
        results,
        chosen,
        further,
        mac_count(Registry.load()),
        lambda files: steps(files, lambda file: str(file.place)),
    )
    tell(records_as_json(rows) if output is OutputFormat.json else records_as_text(rows), output)
    report_checks("gcnnbench verify records", [_record_case(row, results) for row in rows], junit)
    if further is None and output is not OutputFormat.json:
        typer.echo("from the records' own counts; --data DIR scores them again from their weights", err=True)
    if not any(row.grade != "not checkable" for row in rows):
        typer.echo(f"{results}: no record{chosen.shown} to verify, and nothing checked is nothing right", err=True)
        known = {entry for card in registry.versions().values() for entry in card.entries}
        for entry in sorted(set(chosen.entries) - known):
            typer.echo(f"no benchmark has an entry '{entry}'; {choice(entry, sorted(known))}", err=True)
        raise typer.Exit(CHECK_FAILED)
    if any(row.findings for row in rows):
        raise typer.Exit(CHECK_FAILED)
    if further is not None and not any(row.grade in ("re-scored", "undecided", "re-trained") for row in rows):
        typer.echo("no record could be run again as asked for; the reasons stand above", err=True)
        raise typer.Exit(CHECK_FAILED)


def _record_case(row: RecordRow, results: Path) -> Case:
    from gcnnbench.exports.junit import Case, Fault

    file = shown_path(results / row.id)
    skipped = "; ".join(row.notes) or row.grade if row.grade == "not checkable" else None
    return Case(row.id, tuple(Fault(finding, file) for finding in row.findings), skipped)


def _claim_case(row: ClaimRow) -> Case:
    from gcnnbench.exports.junit import Case, Fault

    decided = row.verdict in ("reproduced", "refuted")
    faults = (Fault(f"{row.source} {row.id}: {row.verdict_text}"),) if row.fails else ()
    return Case(f"{row.source}/{row.id}", faults, None if decided else row.verdict_text)
