"""The suite's speed targets, and whether a report shows that they are met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gcnnbench.perf.engines import ALONE, ENGINES, HANDED, LOCAL, OVERHEAD, RAY, SCHEDULING
from gcnnbench.perf.harness import BARE, READ, RECORDS, SUITE
from gcnnbench.perf.learnt import EVALUATION, EXACT, PATHWAY, SLUGS, TRAINING
from gcnnbench.perf.networks import FLOOR, NARROW, NCHW, OURS, P4CNN, P4MCNN, RECORDED, WIDE, Setting
from gcnnbench.perf.report import Comparison, Spread, Target, spread
from gcnnbench.perf.timing import Timing, ratio

MILLIONS: Final = "million images/s"


@dataclass(frozen=True)
class Goal:
    """A bound on the time of one candidate in units of another, in the comparison whose title begins so.

    Without `other` it is a bound on the seconds of `one`, or on the images that it goes through in a second.
    """

    section: str
    title: str
    one: str
    other: str | None
    better: Literal["at least", "at most"]
    bound: float
    stretch: float | None = None
    of: Literal["seconds", "million images/s"] = "seconds"

    @property
    def text(self) -> str:
        """As tables show it."""
        what = f"time of {self.one} / time of {self.other}" if self.other else f"{self.of} of {self.one}"
        return f"{', '.join(filter(None, (self.section, self.title.removesuffix(','))))}: {what}"


def _faster(section: str, setting: Setting, bound: float, stretch: float | None = None, ours: str = OURS) -> Goal:
    return Goal(section, setting.sized, "e2cnn", ours, "at least", bound, stretch)


def _near(section: str, setting: Setting, limit: str, bound: float, stretch: float) -> Goal:
    return Goal(section, setting.sized, OURS, limit, "at most", bound, stretch)


ON_CPU = (
    _faster("training", P4CNN, 1.25, 1.30),
    _faster("evaluation", P4CNN, 1.75, 1.9),
    _faster("training", NARROW, 1.20, 1.25),
    _near("training", NARROW, NCHW, 0.87, 0.82),
    _faster("evaluation", NARROW, 1.28, 1.35),
    _faster("training", WIDE, 1.10, 1.15),
    *(_near("training", setting, FLOOR, 1.12, 1.08) for setting in (P4CNN, P4MCNN, NARROW, WIDE)),
    *(_near("evaluation", setting, FLOOR, 1.05, 1.03) for setting in (P4CNN, P4MCNN, NARROW, WIDE)),
    Goal("learnt", TRAINING, PATHWAY, EXACT, "at most", 1.05),
    *(Goal("learnt", EVALUATION, slug, EXACT, "at most", 1.05) for slug in SLUGS[1:]),
    Goal("cell", "", SUITE, BARE, "at most", 1.03),
)
ON_CUDA = (
    *(_faster("training", setting, 1.5, ours=ours) for setting in (P4CNN, NARROW, WIDE) for ours in (OURS, RECORDED)),
    Goal("evaluation", P4CNN.sized, OURS, None, "at least", 1.0, of=MILLIONS),
)
ANYWHERE = (
    Goal("start-up", "", "gcnnbench list", None, "at most", 0.5),
    Goal("tables", "rendering", f"{RECORDS:,} records", None, "at most", 2.0),
    # twice as many records may take twice as long, and a tenth for the noise of the clock
    Goal("tables", "reading", f"{READ[-1]:,} records", f"{READ[-2]:,} records", "at most", 2.2),
    *(Goal("engines", OVERHEAD, name, LOCAL, "at most", 1.05) for name in (*ENGINES, RAY)),
    Goal("engines", SCHEDULING, HANDED, ALONE, "at most", 1.1),
)
GOALS: Mapping[str, tuple[Goal, ...]] = {"cpu": (*ON_CPU, *ANYWHERE), "cuda": (*ON_CUDA, *ANYWHERE)}
"""By the kind of device; on the others there are those that hold anywhere."""


def targets(comparisons: Sequence[Comparison], device: str) -> tuple[Target, ...]:
    """Every goal with what was measured of it; goals of sections that were not asked for are left out.

    Args:
        comparisons: what was measured.
        device: the kind of device on which it was.
    """
    sections = {comparison.section for comparison in comparisons}
    return tuple(
        Target(
            text=goal.text,
            better=goal.better,
            bound=goal.bound,
            stretch=goal.stretch,
            measured=_measured(goal, comparisons),
        )
        for goal in GOALS.get(device, ANYWHERE)
        if goal.section in sections
    )


def _measured(goal: Goal, comparisons: Sequence[Comparison]) -> Spread | None:
    for comparison in comparisons:
        if comparison.section != goal.section or not comparison.title.startswith(goal.title):
            continue
        one = comparison.row(goal.one)
        other = comparison.row(goal.other) if goal.other else None
        if one is None or (goal.other and other is None):
            return None
        taken = Timing(one.rounds)
        if goal.of == MILLIONS:
            if comparison.images is None:
                return None
            return spread(ratio(Timing((comparison.images / 1e6,) * len(one.rounds)), taken))
        alone = Timing((1.0,) * len(one.rounds))  # seconds are ratios to one second
        return spread(ratio(taken, Timing(other.rounds) if other else alone))
    return None
