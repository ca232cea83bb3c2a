"""What a claims card may say: published numbers, curves and statements of one source, outside every digest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from gcnnbench.cards.base import EntryName, Model, Name, Some, Text, broken_rule
from gcnnbench.cards.card_files import REGISTRY
from gcnnbench.cards.registry import Registry
from gcnnbench.cards.values import Natural, Positive
from gcnnbench.claims.released import WeightsClaim
from gcnnbench.formatting import how_many

if TYPE_CHECKING:
    from gcnnbench.statistics import Summary

FOLDER = REGISTRY / "claims"
"""Where the claims cards of the registry are, and beside them what they rest on."""


def claims_file(registry: Registry, source: str) -> Path:
    """The claims card of a source: the user's own of that name, else the registry's."""
    return next((path for path in registry.claims if path.stem == source), FOLDER / f"{source}.yaml")


Quantity = Annotated[
    str,
    StringConstraints(
        pattern=r"^(accuracy\.(upright|rot90|rot180|rot270|seen|unseen|orbit|curve_mean|quarter_turns)"
        r"|auc|parameters|macs)$"
    ),
]
"""A metric of a run; `accuracy.quarter_turns` is the mean over 90, 180 and 270 degrees.

`parameters` is their number, `macs` the multiply-accumulates of one image; both are counts.
"""

COUNTS: Mapping[str, int] = {"count": 1, "thousands": 1_000, "millions": 1_000_000, "billions": 1_000_000_000}
"""Units of counts."""

CurveQuantity = Literal["accuracy.angle", "train_accuracy.epoch", "validation_accuracy.epoch"]
"""Accuracy at test angles in degrees; running training accuracy, or validation accuracy, after epochs of training."""

Unit = Literal["accuracy-percent", "error-percent", "auc-percent", "count", "thousands", "millions", "billions"]
Standing = Literal["first-hand", "computed-from-logs", "quoted"]
"""From the authors themselves; computed by us from logs that they published; quoted by somebody else."""

WHERE = re.compile(
    r"[\w.-]+/[\w.-]+@[0-9a-f]{7,40}:[^\s;]+(; .+)?"
    r"|arXiv \d{4}\.\d{5}, (abstract|(Table|Figure|section) \d+.*|.+, row .+)"
)


def _found(where: str) -> str:
    if not WHERE.fullmatch(where):
        forms = "write OWNER/REPOSITORY@COMMIT:PATH; ROW, or as in arXiv 1602.07576, Table 1, row P4CNN"
        raise broken_rule(f"'{where}' cannot be looked up; {forms}")
    return where


Where = Annotated[Text, AfterValidator(_found)]
"""Where it is published: `owner/repository@commit:path; row`, or `arXiv 1602.07576, Table 1, row P4CNN`."""

NUMBER = re.compile(r"\d[\d,]*\.?\d*")


class Spread(Model):
    """A published spread: a sample (ddof = 1) or a population deviation, or unsaid.

    It is in the unit of its number, or a fraction printed beside a percentage.
    """

    value: Annotated[float, Field(ge=0)]
    kind: Literal["sample", "population", "unknown"]
    unit: Literal["of-the-number", "fraction"] = "of-the-number"

    @property
    def in_unit(self) -> float:
        """The spread in the unit of its number."""
        return 100 * self.value if self.unit == "fraction" else self.value


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
        return self


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


class Greater(Model):
    """Every entry of `more` has a greater mean of the quantity than every entry of `less`."""

    name: Literal["greater"]
    quantity: Quantity
    more: Some[EntryName]
    less: Some[EntryName]


class Equal(Model):
    """The means of the quantity of `one` and of each of `others` differ by less than the tolerance."""

    name: Literal["equal"]
    quantity: Quantity
    one: EntryName
    others: Some[EntryName]
    tolerance: Name


class Identical(Model):
    """In every run the accuracies under these elements are one number, to the last digit."""

    name: Literal["identical"]
    entries: Some[EntryName]
    quantities: Annotated[tuple[Quantity, ...], Field(min_length=2)]


class Grows(Model):
    """Training makes the invariance error at the logits grow, in the mean over seeds."""

    name: Literal["grows"]
    entries: Some[EntryName]


class Reading(Model):
    """One way in which a statement can be read, with what was printed for it and how it is tested.

    `source_test` is the test by which the source decided, where it did.
    """

    name: Name
    printed: Text
    source_test: Text | None = None
    calibrates: Name | None = None
    test: Annotated[Greater | Equal | Identical | Grows, Field(discriminator="name")]


class StatementClaim(Claim):
    """A qualitative statement. Where it can be read in several ways, each reading has its own verdict."""

    kind: Literal["statement"]
    says: Text
    readings: Some[Reading]


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

    `primary` names the few rows on which the source's conclusion rests, `claim/reading` each: they lead the table and
    are one family of tests.
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


def rounds_to(number: float, printed: float, digits: int) -> bool:
    """Whether a number is the printed one, rounded to its digits; at a half either way."""
    return abs(number - printed) <= 0.5 * 10.0**-digits * (1 + 1e-9)


def published(value: float, std: float | None, kind: str, runs: int | None, unit: Unit) -> Summary:
    """A published number as a summary of fractions, or as a count.

    An error becomes an accuracy, a population deviation a sample deviation. Without runs, or without a spread, it is
    one run. A spread of unsaid kind is taken for a sample deviation, the narrower reading.
    """
    from gcnnbench.statistics import Summary, sample_std  # the schema alone needs no numpy

    scale = 1 / COUNTS[unit] if unit in COUNTS else 100.0
    mean = 1 - value / scale if unit == "error-percent" else value / scale
    if std is None or runs is None or runs < 2:
        return Summary(1, mean, None, None)
    std = sample_std(std, runs) if kind == "population" else std
    return Summary(runs, mean, std / scale, None)
