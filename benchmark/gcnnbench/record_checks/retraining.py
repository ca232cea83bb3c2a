"""Grade *re-trained*: a cell made again from its seed, and held against its record.

On the same stack (device, threads and library versions as in the record's provenance, trained alone) the bits must be
the same. On another stack other bits are right, too, and a weaker test has to do:

- For records of one's own (`judged`), the recorded and the new value of the metric that the benchmark ranks by must
  both lie inside the 99% prediction interval of the other seeds, `mean ± t(n − 1) · s · √(1 + 1/n)`.
- For records of others (`compare_elsewhere`), whose other seeds prove nothing, seeds that the verifier trained stand
  against the records of the same seeds: the 95% interval of the mean difference must lie inside ±`TOLERANCE`.

What is too wide to tell anything, or rests on seeds that do not differ, is *undecided*, and both values are shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from gcnnbench.errors import UserError
from gcnnbench.formatting import how_many, points, share
from gcnnbench.record_checks.conditions import NotCheckableError, Outcome
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import run_to_end
from gcnnbench.runs.record import Provenance, Record
from gcnnbench.scoring.conditions import UnusableError
from gcnnbench.statistics import paired, prediction_interval, summary
from gcnnbench.training.loop import DivergedError

FEWEST_OTHERS = 2
TOLERANCE = 0.02
"""Two points of the metric that ranks: how far numbers made on another stack may lie from the recorded ones."""
NOT_NUMERIC = ("gcnnbench", "pydantic")
"""Packages whose version no number depends on; the suite's own numbers are pinned by the digest."""


def retrain(cell: Cell, record: Record, others: Sequence[Record]) -> Outcome:
    """Train a record's cell again and score it, from nothing but its recipe and seed.

    Args:
        cell: the record's cell.
        record: the record.
        others: the records of the other seeds of this entry under the same protocol.

    Raises:
        NotCheckableError: the data is not here, or `judged` says so.
    """
    if cell.card.version_of(cell.model) != cell.model.model_version:
        raise NotCheckableError(f"made with an earlier version of {cell.model.name}, which this suite no longer trains")
    try:
        made = run_to_end(cell)
    except (DivergedError, UnusableError) as error:
        return Outcome((f"trained again it fails: {error}",), ())
    except UserError as error:
        raise NotCheckableError(str(error)) from None
    return judged(cell, record, made.record, others)


def judged(cell: Cell, record: Record, made: Record, others: Sequence[Record]) -> Outcome:
    """A record against the one that was made of its cell again.

    Args:
        cell: their cell.
        record: the record.
        made: what was trained again.
        others: the records of the other seeds of this entry under the same protocol.

    Raises:
        NotCheckableError: the bits differ on another stack, and fewer than two other seeds say how far numbers may.
    """
    differing = list(different(record, made))
    if not differing:
        return Outcome((), ("trained again: the same bits",))
    stack = list(other_stack(record.provenance, made.provenance))
    if not stack:
        return Outcome(tuple(f"trained again on the same stack: {what}" for what in differing), ())
    return _inside(cell.card.rank_by, record, made, others, stack)


def _inside(metric: str, record: Record, made: Record, others: Sequence[Record], stack: Sequence[str]) -> Outcome:
    """The recorded and the new value among the other seeds."""
    known = [value for other in others if (value := other.metrics.get(metric)) is not None]
    where = "; ".join(stack)
    if len(known) < FEWEST_OTHERS:
        raise NotCheckableError(
            f"trained again to other bits on another stack ({where}), and {how_many(len(known), 'other seed')} cannot "
            f"say how far {metric} may differ; {FEWEST_OTHERS} would"
        )
    values = {"recorded": record.metrics.get(metric), "trained again": made.metrics.get(metric)}
    both = f"{metric} {values['recorded']} recorded, {values['trained again']} trained again on another stack ({where})"
    interval = prediction_interval(summary(known))
    if interval is None:
        equal = f"the {how_many(len(known), 'other seed')} all have {known[0]:.4f}"
        return Outcome((), (), undecided=(f"{both}: {equal}, and do not say how far it may differ",))
    low, high = interval
    told = f"the 99% prediction interval [{low:.4f}, {high:.4f}] of the {how_many(len(known), 'other seed')}"
    outside = [
        f"metrics.{metric}: {value} ({which}) lies outside {told}"
        for which, value in values.items()
        if value is None or not low <= value <= high
    ]
    if outside:
        return Outcome(tuple(outside), ())
    if high - low > 2 * TOLERANCE:
        return Outcome((), (), undecided=(f"{both}: {told} is wider than ±{100 * TOLERANCE:g} points",))
    return Outcome((), (f"{both}, both inside {told}",))


@dataclass(frozen=True)
class Elsewhere:
    """How records stand to what a verifier trained of the same seeds on another stack, and why."""

    verdict: Literal["agrees", "differs", "undecided"]
    why: str


def compare_elsewhere(metric: str, recorded: Sequence[float], trained: Sequence[float]) -> Elsewhere:
    """Recorded values against those that the verifier trained of the same seeds, pair by pair.

    The 95% interval of the mean of (recorded − trained) agrees where it lies inside ±`TOLERANCE`, differs where it lies
    outside, and else decides nothing. Where every difference is the same there is no interval: equal numbers agree,
    differences beyond the tolerance differ, others decide nothing.

    Args:
        metric: its name, on a scale from 0 to 1.
        recorded: its values in the records.
        trained: those of the same seeds trained again, in this order.
    """
    told = f"{metric} {_listed(recorded)} recorded, {_listed(trained)} trained again on another stack"
    differences = [one - other for one, other in zip(recorded, trained, strict=True)]
    if len(differences) < FEWEST_OTHERS:
        return Elsewhere(
            "undecided", f"{told}: {how_many(len(differences), 'seed')} cannot say how far numbers may differ"
        )
    allowed = f"±{100 * TOLERANCE:g} points"
    if not any(differences):
        return Elsewhere("agrees", f"{told}: the same numbers")
    test = paired(differences)
    if test.interval is None:
        each = f"each differs by {points(test.difference)} points"
        if abs(test.difference) > TOLERANCE:
            return Elsewhere("differs", f"{told}: {each}, which lies outside {allowed}")
        return Elsewhere("undecided", f"{told}: {each}, which does not say how far numbers may differ")
    low, high = test.interval
    interval = f"mean difference {points(test.difference)} points, 95% interval [{points(low)}, {points(high)}]"
    if low > TOLERANCE or high < -TOLERANCE:
        return Elsewhere("differs", f"{told}: {interval} lies outside {allowed}")
    if low >= -TOLERANCE and high <= TOLERANCE:
        return Elsewhere("agrees", f"{told}: {interval} lies inside {allowed}")
    tell = "these seeds tell nothing" if high - low > 1 else f"it neither lies inside {allowed} nor outside"
    return Elsewhere("undecided", f"{told}: {interval}; {tell}")


def _listed(values: Sequence[float]) -> str:
    return ", ".join(map(share, values))


def different(record: Record, made: Record) -> Iterator[str]:
    """Which of the things that a seed determines differ, the first place in the course of training among them."""
    for then, now in zip(record.training.history, made.training.history, strict=False):
        if then.model_copy(update={"seconds": 0.0}) != now.model_copy(update={"seconds": 0.0}):
            yield f"training.history: epoch {then.epoch} has loss {then.train_loss}, now {now.train_loss}"
            break
    if record.weights.sha256 != made.weights.sha256:
        yield "weights: other bits"
    if record.counts != made.counts:
        yield "counts: not the recorded ones"
    if record.training.tested_epoch != made.training.tested_epoch:
        yield f"training.tested_epoch: {record.training.tested_epoch}, now {made.training.tested_epoch}"
    if record.equivariance != made.equivariance:
        yield "equivariance: not the recorded errors"
    if record.probes != made.probes:
        yield "probes: not the recorded readings"


def other_stack(then: Provenance, now: Provenance) -> Iterator[str]:
    """What the bits depend on and is not the same, in words; nothing where the stack is the same."""
    for field in ("device", "device_name", "threads", "seeds_at_once", "cuda_graphs"):
        if getattr(then, field) != getattr(now, field):
            yield f"{field} {getattr(then, field)}, here {getattr(now, field)}"
    for package in sorted({*then.versions, *now.versions} - {*NOT_NUMERIC}):
        if then.versions.get(package) != now.versions.get(package):
            yield f"{package} {then.versions.get(package)}, here {now.versions.get(package)}"
