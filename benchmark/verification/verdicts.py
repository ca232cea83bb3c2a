"""The rule by which a claim is judged, on numbers alone: intervals of differences against tolerances.

For a number: the 95% Welch interval of (ours − published) lies inside ± tolerance (reproduced), wholly outside
(refuted), or neither (inconclusive). An error of exactly the tolerance is therefore called reproduced in at most 2.5%
of cases, and refuted in at most 2.5%. One seed of ours decides nothing; curves need ten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmark.statistics import ALPHA, Difference, Summary, against_single_run, half_width, paired, welch

VerdictName = Literal["reproduced", "refuted", "inconclusive", "not comparable", "not covered", "not run"]
CURVE_SEEDS = 10
"""Below so many seeds a curve is inconclusive."""
MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Judgement:
    """A verdict with what it rests on. `seeds_needed` of ours would decide if means and spreads stayed as they are.

    `at` is the place in a curve or comparison that decided or is furthest from being decided.
    """

    verdict: VerdictName
    difference: float | None = None
    interval: tuple[float, float] | None = None
    single_run: bool = False
    seeds_needed: int | None = None
    at: int | None = None


def judge(ours: Summary, published: Summary, tolerance: float, confidence: float = 1 - ALPHA) -> Judgement:
    """Judge a published number.

    Args:
        ours: our seeds.
        published: the claim; without n or spread it is one run, whose spread is taken to be ours.
        tolerance: the error that still counts as reproduced, in the unit of the numbers.
        confidence: coverage of the interval.
    """
    single = published.std is None
    test = against_single_run(ours, published.mean, confidence) if single else welch(ours, published, confidence)
    verdict = _placed(test, tolerance)
    needed = seeds_needed(ours, published, tolerance, confidence) if verdict == "inconclusive" else None
    return Judgement(verdict, test.difference, test.interval, single, needed)


def judge_curve(ours: Sequence[Summary], published: Sequence[Summary], tolerances: Sequence[float]) -> Judgement:
    """Judge a curve point by point at the level α / points (Bonferroni), so that all intervals hold together.

    Reproduced if every interval lies inside its tolerance, refuted if one lies wholly outside, else inconclusive;
    below `CURVE_SEEDS` seeds always inconclusive.

    Raises:
        ValueError: the curves differ in length.
    """
    few = min(point.n for point in ours) < CURVE_SEEDS
    return _together(list(zip(ours, published, strict=True)), tolerances, least_seeds=CURVE_SEEDS if few else 0)


def judge_equal(pairs: Sequence[tuple[Summary, Summary]], tolerance: float) -> Judgement:
    """Judge "these means differ by less than the tolerance", for every pair, at the level α / pairs (Bonferroni)."""
    return _together(pairs, [tolerance] * len(pairs))


def judge_order(pairs: Sequence[tuple[Summary, Summary]]) -> Judgement:
    """Judge "the first is greater than the second", for every pair, at the level α / pairs (Bonferroni).

    Reproduced if every interval of (first − second) lies above zero, refuted if one lies wholly below.
    """
    return _signs([welch(*pair, 1 - ALPHA / len(pairs)) for pair in pairs])


def judge_growth(changes: Sequence[Sequence[float]]) -> Judgement:
    """Judge "it grows": the mean change within runs is above zero, for every sample, at the level α / samples."""
    return _signs([paired(sample, 1 - ALPHA / len(changes)) for sample in changes])


def judge_identity(samples: Sequence[Sequence[float]]) -> Judgement:
    """Judge "these numbers are identical in every run", to the last bit; one run decides nothing unless it refutes.

    Args:
        samples: for each run the numbers that are said to be one.
    """
    spread = max((max(sample) - min(sample) for sample in samples), default=0.0)
    if spread > 0:
        return Judgement("refuted", spread)
    if len(samples) < 2:
        return Judgement("inconclusive", spread, seeds_needed=2)
    return Judgement("reproduced", spread)


def seeds_needed(ours: Summary, published: Summary, tolerance: float, confidence: float = 1 - ALPHA) -> int | None:
    """The number of our seeds at which the interval would leave the tolerance's edge, if nothing else changed.

    Null where no number would do (the published spread alone is too wide, or the difference is the tolerance itself),
    or where nothing is known of our spread.
    """
    margin = abs(abs(ours.mean - published.mean) - tolerance)
    if ours.std is None or margin == 0:
        return None
    low, high = max(2, ours.n), MOST_SEEDS
    if half_width(ours.std, high, published, confidence) >= margin:
        return None
    while low < high:  # the half width falls with n
        middle = (low + high) // 2
        if half_width(ours.std, middle, published, confidence) < margin:
            high = middle
        else:
            low = middle + 1
    return high


def _together(pairs: Sequence[tuple[Summary, Summary]], tolerances: Sequence[float], least_seeds: int = 0) -> Judgement:
    """Every pair against its tolerance, at the level α / pairs; inconclusive for want of `least_seeds`, if not 0."""
    confidence = 1 - ALPHA / len(pairs)
    points = [judge(*pair, allowed, confidence) for pair, allowed in zip(pairs, tolerances, strict=True)]
    ratios = [abs(point.difference or 0.0) / allowed for point, allowed in zip(points, tolerances, strict=True)]
    refuted = [place for place, point in enumerate(points) if point.verdict == "refuted"]
    at = max(refuted or range(len(points)), key=ratios.__getitem__)
    verdict: VerdictName = "inconclusive"
    if refuted and not least_seeds:
        verdict = "refuted"
    elif not least_seeds and all(point.verdict == "reproduced" for point in points):
        verdict = "reproduced"
    needed = None
    if verdict == "inconclusive":
        open_points = [point.seeds_needed for point in points if point.verdict == "inconclusive"]
        needed = None if None in open_points else max([least_seeds, *(n for n in open_points if n)])
    return Judgement(verdict, points[at].difference, points[at].interval, points[at].single_run, needed, at)


def _placed(test: Difference, tolerance: float) -> VerdictName:
    if test.interval is None:
        return "inconclusive"
    low, high = test.interval
    if -tolerance <= low and high <= tolerance:
        return "reproduced"
    return "refuted" if low > tolerance or high < -tolerance else "inconclusive"


def _signs(tests: Sequence[Difference]) -> Judgement:
    lows = [test.interval[0] if test.interval else float("-inf") for test in tests]
    below = [place for place, test in enumerate(tests) if test.interval and test.interval[1] < 0]
    at = below[0] if below else lows.index(min(lows))
    verdict: VerdictName = "refuted" if below else "reproduced" if lows[at] > 0 else "inconclusive"
    return Judgement(verdict, tests[at].difference, tests[at].interval, at=at)
