"""`validate`: checks every card and all of them together, all mistakes at once; with `--audit` also by measuring."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gcnnbench.cli.check_report import JUnit, report_checks, shown_path
from gcnnbench.cli.exit_codes import CHECK_FAILED
from gcnnbench.errors import UserError
from gcnnbench.formatting import how_many

if TYPE_CHECKING:
    from gcnnbench.cards.reading import Finding
    from gcnnbench.cards.registry import Registry
    from gcnnbench.exports.junit import Case


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

    Ends with 1 if a card is wrong, or if the audit finds a claimed exactness false.
    """
    from gcnnbench.cards.reading import CardsError
    from gcnnbench.cards.registry import Registry, survey
    from gcnnbench.claims.protocol_tables import protocol_files, read_protocols
    from gcnnbench.claims.reading import claims_files, read_claims

    card_files = survey(paths or [])
    looked_at = list(card_files.looked_at)
    if not looked_at:
        raise UserError("no card was found, and nothing checked is nothing right: is the installation whole?")
    findings: list[Finding] = list(card_files.findings)
    counted: dict[str, Sized] = {
        "model": card_files.models,
        "data set": card_files.datasets,
        "benchmark": card_files.benchmarks,
    }
    if not findings:
        registry = Registry.of(card_files)
        claims, protocols = claims_files(registry), protocol_files()
        counted |= {"claims card": claims, "protocol": protocols}
        looked_at += [*claims, *protocols]
        for read in (read_claims, read_protocols):
            try:
                read(registry)
            except CardsError as error:
                findings += error.errors
    if findings:
        report_checks("gcnnbench validate", _cases(looked_at, findings), junit)
        for finding in findings:
            typer.echo(str(finding), err=True)
        files = len({finding.path for finding in findings})
        errors, checked = how_many(len(findings), "error"), how_many(len(looked_at), "card")
        waiting = "" if "protocol" in counted else "; claims and protocols are looked at once these are right"
        typer.echo(f"{errors} in {files} of {checked}{waiting}", err=True)
        raise typer.Exit(CHECK_FAILED)
    told = ", ".join(how_many(len(cards), kind) for kind, cards in counted.items())
    sources = how_many(len(card_files.bibliography), "source")
    typer.echo(f"{how_many(len(looked_at), 'card')} checked, no errors: {told}; {sources}")
    false = _audit(Registry.of(card_files), [path.absolute() for path in paths or []]) if audit else []
    report_checks("gcnnbench validate", _cases(looked_at, (), false), junit)
    if false:
        raise typer.Exit(CHECK_FAILED)


def _cases(
    looked_at: Sequence[Path], findings: Sequence[Finding], false: Sequence[tuple[Path, str]] = ()
) -> list[Case]:
    """One case a card's file, the faulty ones with all that is wrong or was found false."""
    from gcnnbench.exports.junit import Case, Fault

    faults = defaultdict[Path, list[Fault]](list, {path: [] for path in sorted(looked_at)})
    for finding in findings:
        where = shown_path(finding.path)
        faults[finding.path].append(Fault(str(finding), where, finding.line, finding.column))
    for path, sentence in false:
        faults[path].append(Fault(sentence, shown_path(path)))
    return [Case(shown_path(path), tuple(here)) for path, here in faults.items()]


def _audit(registry: Registry, paths: list[Path]) -> list[tuple[Path, str]]:
    """Measure what the model cards claim, those below the paths, or all where none is given; false ones, by file."""
    from gcnnbench.cli.progress import steps
    from gcnnbench.equivariance.claims import false_claims

    cards = [
        card
        for name, card in registry.models.items()
        if not paths or any(registry.paths["model", name].is_relative_to(path) for path in paths)
    ]
    if not cards:
        raise UserError("no model's card is at these paths, and nothing audited is nothing right")
    false = []
    for card in steps(cards, lambda card: card.name):
        for sentence in false_claims(registry, card):
            false.append((registry.paths["model", card.name], sentence))
            typer.echo(f"{registry.paths['model', card.name]}: {sentence}", err=True)
    if not false:
        sizes = sum(len(card.claimed_at) for card in cards)
        typer.echo(f"models audited: {len(cards)}, at {sizes} claimed sizes, all as claimed")
    return false
