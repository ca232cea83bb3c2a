"""Reports of speed: tables with ratios and their spread, as text and as JSON that compares between commits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from gcnnbench.cards.base import Model
from gcnnbench.cards.values import Natural, OutsideLine, Positive, Time
from gcnnbench.errors import UserError
from gcnnbench.outside_text import as_line
from gcnnbench.perf.timing import Ratio, Timing, ratio
from gcnnbench.strict_json import parse_model


class Spread(Model):
    """A ratio of medians with the quartiles of the ratios of single rounds."""

    value: float = Field(gt=0)
    low: float = Field(gt=0)
    high: float = Field(gt=0)


class Measured(Model):
    """One candidate of a comparison. `time` is relative to the comparison's reference; `why` says why it is missing."""

    name: OutsideLine
    seconds: float | None = Field(default=None, description="the median over the rounds")
    rounds: tuple[float, ...] = Field(
        default=(), description="the seconds of each round; round r was taken with all others"
    )
    time: Spread | None = None
    flops: float | None = Field(default=None, description="useful operations in a second, two to a multiply-accumulate")
    share_of_peak: float | None = None
    memory: Natural | None = Field(default=None, description="bytes at the high-water mark above what was there before")
    count: float | None = Field(default=None, description="how often it happens in the work")
    why: OutsideLine | None = None


class Comparison(Model):
    """Candidates for the same work, timed in turn."""

    section: OutsideLine
    title: OutsideLine
    reference: OutsideLine
    images: Positive | None = Field(
        default=None, description="that the work goes through once; null where none is said"
    )
    rows: tuple[Measured, ...]

    def row(self, name: str) -> Measured | None:
        """The candidate of that name, if it was measured."""
        return next((row for row in self.rows if row.name == name and row.seconds is not None), None)


class Target(Model):
    """A goal, its stretch, and what was measured; null where it was not."""

    text: OutsideLine
    better: Literal["at least", "at most"]
    bound: float
    stretch: float | None = None
    measured: Spread | None = None

    @property
    def met(self) -> bool | None:
        """Whether the ratio of medians keeps to the bound; null where nothing was measured."""
        if self.measured is None:
            return None
        return self.measured.value >= self.bound if self.better == "at least" else self.measured.value <= self.bound


class Report(Model):
    """One run of `gcnnbench perf`.

    `peak` is the fastest arithmetic on the threads used, in FLOP/s, and `peak_of` what it was; null in reports of the
    time when it was one sgemm, and shares of it could exceed one.
    """

    schema_version: Literal[1] = 1
    commit: OutsideLine | None
    dirty: bool | None
    device: OutsideLine
    device_name: OutsideLine
    threads: Positive
    versions: dict[OutsideLine, OutsideLine]
    platform: OutsideLine
    started: Time
    seconds: float
    peak: float | None
    peak_of: OutsideLine | None = None
    comparisons: tuple[Comparison, ...]
    targets: tuple[Target, ...]


def compared(
    section: str,
    title: str,
    timings: Mapping[str, Timing],
    *,
    reference: str,
    flops: float | None = None,
    peak: float | None = None,
    memory: Mapping[str, int] | None = None,
    missing: Mapping[str, str] | None = None,
    images: int | None = None,
    counts: Mapping[str, float] | None = None,
) -> Comparison:
    """A comparison of timings taken in turn.

    Args:
        section: where it belongs.
        title: what work was done.
        timings: by candidate.
        reference: the candidate whose time is 1.
        flops: useful operations of the work, the same for all candidates.
        peak: the machine's FLOP/s.
        memory: bytes at the high-water mark, by candidate.
        missing: candidates that could not be measured, with the reason.
        images: that the work goes through once.
        counts: how often a candidate happens in the work.
    """
    rows = []
    for name, timing in timings.items():
        found = ratio(timing, timings[reference])
        speed = flops / timing.median if flops else None
        rows.append(
            Measured(
                name=name,
                seconds=timing.median,
                rounds=timing.seconds,
                time=spread(found),
                flops=speed,
                share_of_peak=speed / peak if speed and peak else None,
                memory=(memory or {}).get(name),
                count=(counts or {}).get(name),
            )
        )
    rows += [Measured(name=name, why=as_line(why)) for name, why in (missing or {}).items()]
    return Comparison(section=section, title=title, reference=reference, images=images, rows=tuple(rows))


def spread(found: Ratio) -> Spread:
    """A ratio in the form that reports keep."""
    return Spread(value=found.value, low=found.low, high=found.high)


def read_report(path: str, content: bytes) -> Report:
    """A report from its JSON.

    Raises:
        UserError: it is none.
    """
    try:
        return parse_model(content, Report)
    except ValueError as error:
        raise UserError(f"{path}: no report of gcnnbench perf: {error}") from None
