"""Claims cards read strictly and checked against the registry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.messages import choice
from gcnnbench.cards.reading import CardFile, Finding, open_cards
from gcnnbench.cards.registry import Registry
from gcnnbench.claims.assumptions import assumptions
from gcnnbench.claims.claims import FOLDER, Claim, ClaimsCard, CurveClaim, NumberClaim, StatementClaim
from gcnnbench.claims.statements import Equal


def read_claims(registry: Registry, folder: Path = FOLDER) -> list[ClaimsCard]:
    """All claims cards of the registry in the order of their sources, and after them the user's own.

    Raises:
        CardsError: any card is wrong, or names a source, benchmark, entry or tolerance that is not there; all at once.
    """
    registered = claims_files(folder=folder)
    seen: dict[str, Path] = {}

    def check(file: CardFile[ClaimsCard]) -> Iterator[Finding]:
        if file.path in registered:
            yield from _source_is_cited(file, registry)
        taken = seen.setdefault(file.card.source, file.path)
        if taken != file.path:
            yield file.error(
                ("source",), f"{file.card.source} is taken by {taken}; give the file and the source another"
            )
        yield from _cross_check(file, registry)

    return open_cards(claims_files(registry, folder), ClaimsCard, check)


def claims_files(registry: Registry | None = None, folder: Path = FOLDER) -> list[Path]:
    """The registered claims cards in the order of their sources, and after them the user's own of a registry."""
    return [*sorted(folder.glob("*.yaml")), *(registry.claims if registry else ())]


def _source_is_cited(file: CardFile[ClaimsCard], registry: Registry) -> Iterator[Finding]:
    source = file.card.source
    if source not in registry.bibliography:
        near = choice(source, sorted(registry.bibliography))
        yield file.error(("source",), f"'{source}' is not in references.bib; {near}")


def _cross_check(file: CardFile[ClaimsCard], registry: Registry) -> Iterator[Finding]:
    card = file.card
    if card.source != file.path.stem:
        yield file.error(("source",), f"'{card.source}' must be {file.path.stem}, as the file is called")
    for place, claim in enumerate(card.claims):
        for tolerance in _tolerance_names(claim):
            if tolerance not in card.tolerances:
                near = choice(tolerance, sorted(card.tolerances))
                yield file.error(("claims", place), f"there is no tolerance '{tolerance}'; {near}")
        if claim.benchmark is None:
            continue
        if claim.benchmark not in registry.benchmarks:
            near = choice(claim.benchmark, sorted(registry.benchmarks))
            yield file.error(("claims", place, "benchmark"), f"there is no benchmark '{claim.benchmark}'; {near}")
            continue
        benchmark = registry.benchmarks[claim.benchmark]
        for entry in _entries(claim):
            if entry not in benchmark.entries:
                near = choice(entry, list(benchmark.entries))
                yield file.error(("claims", place), f"{entry} is no entry of {benchmark.name}; {near}")
        for at in _misplaced(claim, benchmark):
            yield file.error(("claims", place, "at"), f"{at} is not measured in {benchmark.name}")
        for name in _calibrated(claim):
            known = assumptions(registry, benchmark, _entries(claim))
            if name not in known:
                yield file.error(("claims", place), f"there is no assumption '{name}'; {choice(name, sorted(known))}")
    yield from _within(file)


def _within(file: CardFile[ClaimsCard]) -> Iterator[Finding]:
    """What a card says of its own claims: which are primary, and which repeat another."""
    card = file.card
    rows = [row for claim in card.claims for row in claim.row_ids]
    ordered = [row for claim in card.claims if isinstance(claim, StatementClaim) for row in _not_of_equality(claim)]
    for place, row in enumerate(card.primary):
        if row not in rows:
            yield file.error(("primary", place), f"there is no row '{row}'; {choice(row, rows)}")
        elif row not in ordered:  # there a small p speaks against the claim, and Holm's rule would turn it round
            rule = "primary rows are statements tested by greater, grows or identical"
            yield file.error(("primary", place), f"'{row}' is judged by equivalence; {rule}")
    numbers = {claim.id: claim for claim in card.claims if isinstance(claim, NumberClaim)}
    for place, claim in enumerate(card.claims):
        if not isinstance(claim, NumberClaim) or claim.repeats is None:
            continue
        repeated = numbers.get(claim.repeats)
        own = claim.benchmark, claim.entry
        if repeated is None or repeated.repeats or (repeated.benchmark, repeated.entry) != own:
            rule = f"'{claim.repeats}' is no number of {claim.entry} in {claim.benchmark} that repeats none itself"
            yield file.error(("claims", place, "repeats"), rule)


def _not_of_equality(claim: StatementClaim) -> Sequence[str]:
    """The rows of a statement's readings but those that say that means are equal."""
    pairs = zip(claim.row_ids, claim.readings, strict=True)
    return [row for row, reading in pairs if not isinstance(reading.test, Equal)]


def _calibrated(claim: Claim) -> Iterator[str]:
    """The assumptions that a claim, or a reading of it, was used to choose."""
    readings = claim.readings if isinstance(claim, StatementClaim) else ()
    yield from (name for name in (claim.calibrates, *(one.calibrates for one in readings)) if name is not None)


def _tolerance_names(claim: Claim) -> Sequence[str]:
    if isinstance(claim, NumberClaim | CurveClaim):
        return [claim.tolerance]
    if isinstance(claim, StatementClaim):
        return [reading.test.tolerance for reading in claim.readings if isinstance(reading.test, Equal)]
    return []


def _entries(claim: Claim) -> Sequence[str]:
    if isinstance(claim, NumberClaim | CurveClaim):
        return [claim.entry] if claim.entry else []
    if isinstance(claim, StatementClaim):
        return [entry for reading in claim.readings for entry in reading.test.about]
    return []


def _misplaced(claim: Claim, benchmark: BenchmarkCard) -> Sequence[int]:
    """The places of a curve that the benchmark does not measure."""
    if not isinstance(claim, CurveClaim):
        return []
    angles = claim.quantity == "accuracy.angle"
    measured = benchmark.evaluation.curve.angles if angles else range(1, benchmark.recipe.epochs + 1)
    return [at for at in claim.at if at not in measured]
