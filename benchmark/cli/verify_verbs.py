"""`verify`: published claims and our own records, put to the test."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import Format, Include, OutputFormat, Results
from benchmark.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from benchmark.cards.registry import Registry

CHECK_FAILED = 1


class Verifiable(StrEnum):
    """What can be verified."""

    claims = "claims"
    records = "records"


def verify(
    what: Annotated[Verifiable, typer.Argument(help="Published numbers, or the records in the results directory.")],
    *,
    paper: Annotated[
        str | None, typer.Option(metavar="KEY", help="Only claims of this source, as in edixhoven2023.")
    ] = None,
    benchmark: Annotated[str | None, typer.Option(metavar="NAME", help="Only claims on this benchmark.")] = None,
    results: Results,
    include: Include,
    output: Format,
) -> None:
    """Say of every claim what our records say about it, or of every record whether it can be recomputed.

    Ends with 1 if a claim is refuted without any assumption, or if a record, its weights or a kept table is refused.
    """
    from benchmark.cards.registry import Registry

    registry = Registry.load(include)
    if what is Verifiable.claims:
        _claims(registry, results, paper, benchmark, output)
    elif paper or benchmark:
        raise UserError("--paper and --benchmark choose claims; records are verified all together")
    else:
        _records(registry, results, output)


def _claims(registry: Registry, results: Path, paper: str | None, benchmark: str | None, output: OutputFormat) -> None:
    from benchmark.verification.claims_reading import FOLDER, read_claims, tolerances_since
    from benchmark.verification.claims_text import claims_as_json, claims_as_markdown
    from benchmark.verification.evidence import gather
    from benchmark.verification.judging import judge_claims
    from benchmark.verification.rows import warn_of_edits

    cards = read_claims(registry)
    sources = [card.source for card in cards]
    if paper is not None and paper not in sources:
        raise UserError(f"there are no claims of '{paper}'; there are those of {', '.join(sources)}")
    name = registry.benchmark(benchmark).name if benchmark is not None else None
    chosen = [card for card in cards if paper in (None, card.source)]
    since = {card.source: tolerances_since(FOLDER / f"{card.source}.yaml") for card in chosen}
    rows = warn_of_edits(judge_claims(registry, chosen, gather(registry, results)), since)
    rows = [row for row in rows if name in (None, row.benchmark)]
    if not rows:
        raise UserError("no claim is chosen, and nothing checked is nothing right; leave --paper or --benchmark out")
    typer.echo(claims_as_json(rows) if output is OutputFormat.json else claims_as_markdown(rows), nl=False)
    if any(row.fails for row in rows):
        raise typer.Exit(CHECK_FAILED)


def _records(registry: Registry, results: Path, output: OutputFormat) -> None:
    from benchmark.verification.records import verify_records
    from benchmark.verification.records_text import records_as_json, records_as_text

    rows = verify_records(registry, results)
    typer.echo(records_as_json(rows) if output is OutputFormat.json else records_as_text(rows), nl=False)
    if not any(row.grade != "not checkable" for row in rows):
        typer.echo(f"{results}: no record to verify, and nothing checked is nothing right", err=True)
        raise typer.Exit(CHECK_FAILED)
    if any(row.findings for row in rows):
        raise typer.Exit(CHECK_FAILED)
