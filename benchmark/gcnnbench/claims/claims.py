"""What a claims card may say: published numbers, curves and statements of one source, outside every digest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gcnnbench.cards.base import EntryName, Model, Name, Some, Text, broken_rule
from gcnnbench.cards.card_files import REGISTRY
from gcnnbench.cards.registry import Registry
from gcnnbench.cards.values import Natural, Positive
from gcnnbench.claims.quantities import COUNTS, NUMBER, CurveQuantity, Quantity, Spread, Unit, published, rounds_to
from gcnnbench.claims.released_weights import WeightsClaim
from gcnnbench.claims.statements import Reading
from gcnnbench.formatting import how_many

if TYPE_CHECKING:
    from gcnnbench.statistics import Summary

FOLDER = REGISTRY / "claims"
"""Where the claims cards of the registry are, and beside them what they rest on."""


def claims_file(registry: Registry, source: str) -> Path:
    """The claims card of a source: the user's own of that name, else the registry's."""
    return next((path for path in registry.claims if path.stem == source), FOLDER / f"{source}.yaml")


Standing = Literal["first-hand", "computed-from-logs", "quoted"]
"""From the authors themselves; computed by us from logs that they published; quoted by somebody else."""

WHERE = re.compile(
    r"[\w.-]+/[\w.-]+@[0-9a-f]{7,40}:[^\s;*]+(; .+)?"
    r"|arXiv \d{4}\.\d{5}, (abstract|(Table|Figure|section) \d+.*|table not at hand, row .+)"
)


def _found(where: str) -> str:
    if not WHERE.fullmatch(where):
        forms = "write OWNER/REPOSITORY@COMMIT:PATH; ROW, or as in arXiv 1602.07576, Table 1, row P4CNN"
        raise broken_rule(f"'{where}' cannot be looked up; {forms}")
    return where


Where = Annotated[Text, AfterValidator(_found)]
"""Where it is published: `owner/repository@commit:path; row`, or `arXiv 1602.07576, Table 1, row P4CNN`.

The path is that of one file; files beside it are named behind it. A quoted number may say `table not at hand`.
"""


class Tolerance(Model):
    """The error that still counts as reproduced: `points`, or `deviations` of the published spread if that is more."""

    points: Annotated[float, Field(ge=0)]
    deviations: Annotated[float, Field(ge=0)] = 0.0
    because: Text

    def of(self, published: Summary) -> float:
        """The tolerance for one published number, as a fraction."""
        return max(self.points / 100, self.deviations * (published.std or 0.0))


class Claim(Model):
    """What every claim says of itself.

    `benchmark` and `entry` say which of our records speak to it; a claim that none can speak to says so in
    `not_covered`, and one whose protocol is another says where in `differs`. `calibrates` names the assumption of our
    cards that was chosen by this number: it is then shown, and never counts as reproduced.
    """

    id: Name
    where: Where
    standing: Standing
    benchmark: Name | None = None
    not_covered: Text | None = None
    differs: tuple[Text, ...] = ()
    calibrates: Name | None = None
    note: Text | None = None

    @model_validator(mode="after")
    def _covered_or_not(self) -> Self:
        if (self.benchmark is None) == (self.not_covered is None):
            raise broken_rule("either benchmark says which records speak to it, or not_covered why none can", "id")
        if ", table not at hand, " in self.where and self.standing != "quoted":
            raise broken_rule(
                f"a {self.standing} number stands in a table; only a quoted one's is not at hand", "where"
            )
        return self

    @property
    def row_ids(self) -> list[str]:
        """The names of its rows: its own, or one for each reading of a statement."""
        return [self.id]


class NumberClaim(Claim):
    """One published number, as printed and as a number.

    `repeats` names the claim whose runs and quantity these are, in another rounding, a part of them, or by
    construction: it is judged, and not counted a second time.
    """

    kind: Literal["number"]
    entry: EntryName | None = None
    quantity: Quantity
    network: Text | None = None
    printed: Text
    value: float
    unit: Unit
    spread: Spread | None = None
    runs: Positive | None = None
    tolerance: Name
    repeats: Name | None = None

    @model_validator(mode="after")
    def _value_is_printed(self) -> Self:
        numbers = {float(found.replace(",", "")) for found in NUMBER.findall(self.printed)}
        if self.value not in numbers:
            raise broken_rule(f"{self.value} does not stand in {self.printed!r}", "value")
        if self.spread is not None and self.spread.value not in numbers:
            raise broken_rule(f"{self.spread.value} does not stand in {self.printed!r}", "spread", "value")
        if (self.benchmark is None) == (self.entry is not None):
            raise broken_rule("a benchmark and an entry go together", "entry")
        if (self.quantity in ("parameters", "macs")) != self.counts:
            raise broken_rule(f"{self.quantity} and {self.unit} do not go together", "unit")
        return self

    @property
    def published(self) -> Summary:
        """The claim as our records are counted: accuracies and AUC as fractions, the spread as a sample deviation."""
        return published(self.value, self.spread.in_unit if self.spread else None, self._kind, self.runs, self.unit)

    @property
    def counts(self) -> bool:
        """Whether it is a count, which is right or wrong."""
        return self.unit in COUNTS

    def is_count_of(self, number: float) -> bool:
        """Whether a number, rounded to the digits that are printed, is this count."""
        digits = max((len(found.partition(".")[2]) for found in NUMBER.findall(self.printed)), default=0)
        return rounds_to(number / COUNTS[self.unit], self.value, digits)

    @property
    def _kind(self) -> str:
        return self.spread.kind if self.spread else "unknown"


class CurveClaim(Claim):
    """A published curve: means and deviations at given places."""

    kind: Literal["curve"]
    entry: EntryName
    quantity: CurveQuantity
    at: Some[Natural]
    mean: Annotated[tuple[float, ...], Field(min_length=1)]
    deviation: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)]
    deviation_kind: Literal["sample", "population", "unknown"]
    unit: Unit
    runs: Annotated[int, Field(ge=2)]
    tolerance: Name

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if not len(self.at) == len(self.mean) == len(self.deviation):
            raise broken_rule(
                f"at, mean and deviation must be equally long, as {how_many(len(self.at), 'place')}", "at"
            )
        return self

    @property
    def published(self) -> tuple[Summary, ...]:
        """The claim point by point, in the order of `at`."""
        points = zip(self.mean, self.deviation, strict=True)
        return tuple(published(mean, std, self.deviation_kind, self.runs, self.unit) for mean, std in points)


class StatementClaim(Claim):
    """A qualitative statement. Where it can be read in several ways, each reading has its own verdict."""

    kind: Literal["statement"]
    says: Text
    readings: Some[Reading]

    @property
    def row_ids(self) -> list[str]:
        """The names of its rows, one for each reading."""
        return [f"{self.id}/{one.name}" for one in self.readings]


AnyClaim = Annotated[NumberClaim | CurveClaim | StatementClaim, Field(discriminator="kind")]


def _once(claims: tuple[AnyClaim, ...]) -> tuple[AnyClaim, ...]:
    seen: set[str] = set()
    for place, claim in enumerate(claims):
        if claim.id in seen:
            raise broken_rule(f"{claim.id} stands twice; name each claim once", place, "id")
        seen.add(claim.id)
    return claims


class ClaimsCard(Model):
    """The claims of one source, as the file is called; of a registered card it is a key of `references.bib`.

    `primary` names the few rows on which the source's conclusion rests, `claim/reading` each, of statements tested by
    `greater`, `grows` or `identical`: they lead the table and are one family of tests.
    """

    source: Name
    title: Text
    summary: Text
    primary: tuple[Text, ...] = ()
    tolerances: Annotated[dict[Name, Tolerance], Field(min_length=1)]
    claims: Annotated[tuple[AnyClaim, ...], Field(min_length=1), AfterValidator(_once)]
    weights: tuple[WeightsClaim, ...] = ()

    @model_validator(mode="after")
    def _weights_give_a_number_back(self) -> Self:
        numbers = {claim.id for claim in self.claims if isinstance(claim, NumberClaim) and not claim.counts}
        for place, one in enumerate(self.weights):
            if one.claim not in numbers:
                raise broken_rule(f"there is no accuracy '{one.claim}' on this card", "weights", place, "claim")
        return self
