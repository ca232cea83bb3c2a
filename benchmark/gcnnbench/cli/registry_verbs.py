"""`list`, `show`, `validate` and `schema`: what is registered, in tables and in full, and whether it is right."""

from __future__ import annotations

import json
from collections.abc import Sized
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gcnnbench.cli.check_report import JUnit, report_checks, shown_path
from gcnnbench.cli.options import Format, Include, OutputFormat, Results
from gcnnbench.cli.output import tell
from gcnnbench.errors import UserError
from gcnnbench.formatting import how_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gcnnbench.cards.card_files import CardFiles
    from gcnnbench.cards.reading import Finding
    from gcnnbench.cards.registry import Registry
    from gcnnbench.exports.junit import Case


CHECK_FAILED = 1
WRONG_CARD = 2


class Shelves(StrEnum):
    """What can be listed."""

    models = "models"
    datasets = "datasets"
    benchmarks = "benchmarks"


class CardKind(StrEnum):
    """The kinds of cards."""

    model = "model"
    dataset = "dataset"
    benchmark = "benchmark"
    claims = "claims"


def list_cards(
    what: Annotated[Shelves | None, typer.Argument(metavar="KIND", help="Only these.", show_default=False)] = None,
    *,
    write: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all of them to a page of documentation.", show_default=False),
    ] = None,
    include: Include,
    output: Format,
) -> None:
    """List the models, data sets and benchmarks of the registry."""
    from gcnnbench.cards.registry import Registry
    from gcnnbench.cli.cards import listing, summaries

    registry = Registry.load(include)
    if write is not None:
        from gcnnbench.disk import write_whole
        from gcnnbench.pages.registry import page

        write_whole(write, page(registry).encode())
        typer.echo(f"written: {write}")
        return
    tables = {card_files.value: summaries(registry, card_files.value) for card_files in ([what] if what else Shelves)}
    if output is OutputFormat.json:
        typer.echo(json.dumps(tables, indent=1, ensure_ascii=False))
        return
    for name, rows in tables.items():
        tell(listing(name, rows) + "\n")


def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A model, data set or benchmark; SLUG@SIZE and NAME@VERSION will do.")
    ],
    *,
    results: Results,
    include: Include,
    output: Format,
) -> None:
    """Show one card as a reader wants it: what it is, where it comes from, what it assumes, what has been run."""
    from gcnnbench.cards.registry import Registry
    from gcnnbench.cli.card_background import known_of
    from gcnnbench.cli.cards import describe

    registry = Registry.load(include)
    kind, card = _card(registry, name)
    size = _size(registry, name) if kind == "model" else None
    known = known_of(registry, card, results)
    if output is OutputFormat.json:
        told = {
            "kind": kind,
            "card": card.model_dump(mode="json", exclude_none=True),
            "bibtex": {source.key: registry.bibliography[source.key] for source in card.sources},
            **asdict(known),
        }
        if size is not None:
            told |= {"size": size, "equivariance": card.claim_at(size)}
        typer.echo(json.dumps(told, indent=1, ensure_ascii=False))
    else:
        tell(describe(registry, kind, card, known, size))


def validate(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help="Further cards, or folders that hold some.", show_default=False),
    ] = None,
    *,
    audit: Annotated[
        bool, typer.Option("--audit", help="Also measure whether the models are exact where they say so (minutes).")
    ] = False,
    junit: JUnit = None,
) -> None:
    """Check every registered card, and those at the paths given: all errors of all files at once.

    Ends with 2 if a card is wrong, and with 1 if the audit finds a claimed exactness false.
    """
    from gcnnbench.cards.reading import CardsError
    from gcnnbench.cards.registry import Registry, survey
    from gcnnbench.claims.protocol_tables import read_protocols
    from gcnnbench.claims.reading import read_claims

    card_files = survey(paths or [])
    if card_files.checked == 0:
        raise UserError("no card was found, and nothing checked is nothing right: is the installation whole?")
    findings: list[Finding] = card_files.findings
    claims, protocols = [], []
    if not findings:
        try:
            claims, protocols = read_claims(Registry.of(card_files)), read_protocols(Registry.of(card_files))
        except CardsError as error:
            findings = list(error.errors)
    report_checks("gcnnbench validate", _cases(card_files, findings), junit)
    if findings:
        for finding in findings:
            typer.echo(str(finding), err=True)
        files = len({finding.path for finding in findings})
        errors, checked = how_many(len(findings), "error"), how_many(card_files.checked, "card")
        waiting = "; claims and protocols are looked at once these are right" if card_files.findings else ""
        typer.echo(f"{errors} in {files} of {checked}{waiting}", err=True)
        raise typer.Exit(WRONG_CARD)
    kinds: dict[str, Sized] = {
        "model": card_files.models,
        "data set": card_files.datasets,
        "benchmark": card_files.benchmarks,
        "claims card": claims,
        "protocol": protocols,
    }
    checked = how_many(card_files.checked + len(claims) + len(protocols), "card")
    counted = ", ".join(how_many(len(cards), kind) for kind, cards in kinds.items())
    typer.echo(f"{checked} checked, no errors: {counted}; {how_many(len(card_files.bibliography), 'source')}")
    if audit:
        _audit(Registry.of(card_files), [path.absolute() for path in paths or []])


def _cases(card_files: CardFiles, findings: Sequence[Finding]) -> list[Case]:
    """One case a card's file, the faulty ones with all that is wrong."""
    from gcnnbench.exports.junit import Case, Fault

    files = {
        file.path for kind in (card_files.models, card_files.datasets, card_files.benchmarks) for file in kind.values()
    }
    faults: dict[Path, list[Fault]] = {path: [] for path in sorted(files)}
    for finding in findings:
        where = shown_path(finding.path)
        faults.setdefault(finding.path, []).append(Fault(str(finding), where, finding.line, finding.column))
    return [Case(shown_path(path), tuple(here)) for path, here in faults.items()]


def _audit(registry: Registry, paths: list[Path]) -> None:
    """Measure what the model cards claim: those below the paths, or all where none is given."""
    from gcnnbench.cli.progress import steps
    from gcnnbench.equivariance.claims import false_claims

    cards = [
        card
        for name, card in registry.models.items()
        if not paths or any(registry.paths["model", name].is_relative_to(path) for path in paths)
    ]
    if not cards:
        raise UserError("no model's card is at these paths, and nothing audited is nothing right")
    failures = 0
    for card in steps(cards, lambda card: card.name):
        for sentence in false_claims(registry, card):
            failures += 1
            typer.echo(f"{registry.paths['model', card.name]}: {sentence}", err=True)
    if failures:
        raise typer.Exit(CHECK_FAILED)
    sizes = sum(len(card.claimed_at) for card in cards)
    typer.echo(f"models audited: {len(cards)}, at {sizes} claimed sizes, all as claimed")


def schema(
    kind: Annotated[
        CardKind | None, typer.Argument(metavar="KIND", help="The kind of card; else all.", show_default=False)
    ] = None,
) -> None:
    """Print the JSON Schema of a kind of card, for editors that complete and check YAML."""
    from gcnnbench.cards.base import Model
    from gcnnbench.cards.reading import CARD_KINDS
    from gcnnbench.claims.claims import ClaimsCard

    kinds: dict[str, type[Model]] = {**CARD_KINDS, "claims": ClaimsCard}
    schemas: dict[str, Any] = {
        name: {"$schema": "https://json-schema.org/draft/2020-12/schema", **card.model_json_schema()}
        for name, card in kinds.items()
    }
    typer.echo(json.dumps(schemas[kind.value] if kind else schemas, indent=1, ensure_ascii=False))


def _size(registry: Registry, name: str) -> int | None:
    """The size in SLUG@SIZE of a model; none where it is a slug.

    Raises:
        UserError: it is no size, or the network does not take it.
    """
    from gcnnbench.cards.base import split_entry

    if "@" not in name:
        return None
    try:
        slug, size = split_entry(name)
    except ValueError as error:
        raise UserError(str(error)) from None
    if wrong := registry.model(slug).too_small(size):
        raise UserError(wrong)
    return size


def _card(registry: Registry, name: str) -> tuple[str, Any]:
    """The card of that name and its kind.

    Raises:
        UserError: there is none; several kinds may have it, then the benchmark comes first.
    """
    from difflib import get_close_matches

    plain = name.partition("@")[0]
    if plain in registry.benchmarks:
        return "benchmark", registry.benchmark(name)
    if plain in registry.models:
        return "model", registry.model(name)
    if plain in registry.datasets:
        if plain != name:
            raise UserError(f"'{name}': a data set has neither size nor version; write {plain}")
        return "dataset", registry.dataset(plain)
    every = [*registry.benchmarks, *registry.models, *registry.datasets]
    near = get_close_matches(plain, every, n=1)
    raise UserError(f"there is no card '{name}'; {f'did you mean {near[0]}?' if near else 'see: gcnnbench list'}")
