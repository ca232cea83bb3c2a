"""`verify records`: our own records recomputed, scored again from their weights, and trained again."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gcnnbench.cli.check_report import JUnit, report_checks, shown_path
from gcnnbench.cli.exit_codes import CHECK_FAILED
from gcnnbench.cli.options import (
    DeviceName,
    Entries,
    Format,
    Include,
    OneBenchmark,
    OutputFormat,
    Results,
    Seeds,
    default_data,
)
from gcnnbench.cli.output import tell
from gcnnbench.cli.written_options import refuse_these
from gcnnbench.errors import UserError

if TYPE_CHECKING:
    from gcnnbench.cards.registry import Registry
    from gcnnbench.exports.junit import Case
    from gcnnbench.record_checks.recomputing import DeeperCheck
    from gcnnbench.record_checks.rows import RecordRow


class Rescore(StrEnum):
    """What of a record is scored again from its weights."""

    none = "none"
    upright = "upright"
    elements = "elements"
    all = "all"


def records(
    *,
    benchmark: OneBenchmark = None,
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
    from gcnnbench.cards.messages import choice
    from gcnnbench.cards.registry import Registry
    from gcnnbench.cli.progress import steps
    from gcnnbench.data.copies import on_copies

    registry = on_copies(Registry.load(include), results)
    if benchmark is not None:
        registry.benchmark(benchmark.partition("@")[0])  # records of any version are chosen, also of one gone from here

    from gcnnbench.record_checks.rates_and_macs import mac_count
    from gcnnbench.record_checks.recomputing import verify_records
    from gcnnbench.record_checks.rows import Chosen, records_as_json, records_as_text
    from gcnnbench.runs.plan import seeds_from

    chosen = Chosen(benchmark, tuple(entries), None if seeds is None else seeds_from(seeds))
    asked = rescore or (Rescore.none if data is None else Rescore.upright)
    further = None
    if asked is Rescore.none and retrain is None:
        refuse_these("without --rescore and --retrain, where nothing is run", "device")
    if asked is not Rescore.none or retrain is not None:
        further = _further(registry, results, data or default_data(), asked, retrain, device)
    rows = verify_records(
        registry,
        results,
        chosen,
        further,
        mac_count(Registry.load()),
        lambda files: steps(files, lambda file: str(file.place)),
    )
    tell(records_as_json(rows) if output is OutputFormat.json else records_as_text(rows), output)
    report_checks("gcnnbench verify records", [_case(row, results) for row in rows], junit)
    if further is None and output is not OutputFormat.json:
        needed = {name for row in rows if (name := _data_needed(registry, row))}
        where = f", with --data DIR where the files of {', '.join(sorted(needed))} lie elsewhere than {default_data()}"
        again = f"--rescore upright scores them again from their weights{where if needed else ''}"
        typer.echo(f"from the records' own counts; {again}", err=True)
    if not any(row.grade != "not checkable" for row in rows):
        typer.echo(f"{results}: no record{chosen.shown} to verify, and nothing checked is nothing right", err=True)
        known = {entry for card in registry.versions().values() for entry in card.entries}
        if unknown := sorted(set(chosen.entries) - known):
            raise UserError(f"no benchmark has an entry '{unknown[0]}'; {choice(unknown[0], sorted(known))}")
        raise typer.Exit(CHECK_FAILED)
    if any(row.findings for row in rows):
        raise typer.Exit(CHECK_FAILED)
    if further is not None and not any(row.grade in ("re-scored", "undecided", "re-trained") for row in rows):
        typer.echo("no record could be run again as asked for; the reasons stand above", err=True)
        raise typer.Exit(CHECK_FAILED)


def _data_needed(registry: Registry, row: RecordRow) -> str | None:
    """The data set of a record that has to be on the disk for its weights to be scored; null where none has."""
    card = registry.card_of(row.id.partition("/")[0])
    return card.dataset if card is not None and registry.dataset(card.dataset).disk_bytes else None


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


def _case(row: RecordRow, results: Path) -> Case:
    from gcnnbench.exports.junit import Case, Fault

    file = shown_path(results / row.id)
    skipped = "; ".join(row.notes) or row.grade if row.grade == "not checkable" else None
    return Case(row.id, tuple(Fault(finding, file) for finding in row.findings), skipped)
