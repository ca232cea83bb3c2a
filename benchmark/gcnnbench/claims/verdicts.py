"""The rule by which a claim is judged, on numbers alone: two one-sided tests of equivalence, and a test of equality.

For a number the equivalence test (TOST, Schuirmann 1987) is made at 5%: the 90% interval of (ours − published) lies
inside ± tolerance (*reproduced*), wholly outside (*refuted*), or neither (*inconclusive*). Beside it stands the p of
the two-sided test that both means are one: a number may be inconclusive and differ.

Variances are pooled where the published runs are at least `POOLED_RUNS`. Then an error of exactly the tolerance is
called reproduced in at most 5% of cases if both sides scatter alike, and more often if ours scatter more (with twice
the deviation and three seeds in 18%); Welch's interval, which supposes nothing of the spreads, is kept beside it. With
fewer published runs Welch's test decides, and one published run is taken to have our spread. A tolerance below twice
the standard error of the published mean is *not testable*.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Literal

from gcnnbench.claims.curve_test import CurveTest
from gcnnbench.statistics import ALPHA, Difference, Summary, against_single_run, detectable, paired, pooled, welch

VerdictName = Literal[
    "reproduced",
    "refuted",
    "inconclusive",
    "not testable",
    "calibration",
    "not comparable",
    "not covered",
    "not run",
]
EQUIVALENCE = 1 - 2 * ALPHA
"""Coverage of the interval that both one-sided tests at the level `ALPHA` make together."""

POOLED_RUNS = 10
"""From so many published runs on, variances are pooled."""
CURVE_SEEDS = 3
"""Below so many seeds a curve is inconclusive: fewer have too few permutations."""

Compare = Callable[[Summary, Summary, float], Difference]


@dataclass(frozen=True)
class Judgement:
    """A verdict with what it rests on.

    `interval` covers with probability `coverage`: 90% for an equivalence, 95% for an order. `p` is that of the
    two-sided test of equality (of a curve: the permutation test's; of a comparison: the largest of its pairs). `seen`
    is the smallest true shift that the test of equality finds with probability 0.8, as a fraction, of a curve in
    deviations of a run. `welch` is Welch's 90% interval where another one decided. `at` is the place in a curve or
    comparison that decided or is furthest from being decided.
    """

    verdict: VerdictName
    difference: float | None = None
    interval: tuple[float, float] | None = None
    coverage: float = EQUIVALENCE
    p: float | None = None
    seen: float | None = None
    welch: tuple[float, float] | None = None
    single_run: bool = False
    at: int | None = None


def judge(ours: Summary, published: Summary, tolerance: float) -> Judgement:
    """Judge a published number.

    Args:
        ours: our seeds.
        published: the claim; without n or spread it is one run, whose spread is taken to be ours.
        tolerance: the error that still counts as reproduced, in the unit of the numbers.
    """
    test = against(ours, published)
    verdict = placed(test.interval, tolerance) if testable(published, tolerance) else "not testable"
    single = published.std is None
    check = _check(ours, published)
    return Judgement(
        verdict, test.difference, test.interval, p=test.p, seen=detectable(test), welch=check, single_run=single
    )


def judge_curve(
    ours: Sequence[Summary], published: Sequence[Summary], tolerances: Sequence[float], test: CurveTest
) -> Judgement:
    """Judge a curve: reproduced where every place is, refuted where one place is at the level α / places (Bonferroni).

    All places must pass, so each may be tested at the full level (intersection-union, Berger 1982). Whether the curve
    as a whole differs is one simultaneous test. Below `CURVE_SEEDS` seeds a curve is inconclusive.

    Args:
        ours: our seeds at each place.
        published: the claim at each place.
        tolerances: at each place, in the unit of the numbers.
        test: the test of the whole curve, from the single published runs.

    Raises:
        ValueError: the curves differ in length.
    """
    pairs = list(zip(ours, published, strict=True))
    found = _together(pairs, tolerances, test.distinct, against)
    verdict = found.verdict if min(point.n for point in ours) >= CURVE_SEEDS else "inconclusive"
    if not all(testable(point, allowed) for point, allowed in zip(published, tolerances, strict=True)):
        verdict = "not testable"
    return replace(found, verdict=verdict, p=test.p, seen=test.seen, welch=_check(*pairs[found.at or 0]))


def judge_equal(pairs: Sequence[tuple[Summary, Summary]], tolerance: float) -> Judgement:
    """Judge "these means differ by less than the tolerance": for every pair, refuted by one at the level α / tests."""
    return _together(pairs, [tolerance] * len(pairs), _made([welch(*pair) for pair in pairs]), welch)


def judge_order(pairs: Sequence[tuple[Summary, Summary]]) -> Judgement:
    """Judge "the first is greater than the second", for every pair, by Welch's test.

    Reproduced if every interval of (first − second) lies above zero, refuted if one at the level α / tests lies below.
    """
    tests = [welch(*pair) for pair in pairs]
    return _signs(tests, [welch(*pair, 1 - ALPHA / _made(tests)) for pair in pairs])


def judge_growth(changes: Sequence[Sequence[float]]) -> Judgement:
    """Judge "it grows": the mean change within runs is above zero, for every sample; refuted by one, as an order is."""
    tests = [paired(sample) for sample in changes]
    return _signs(tests, [paired(sample, 1 - ALPHA / _made(tests)) for sample in changes])


def judge_identity(samples: Sequence[Sequence[float]]) -> Judgement:
    """Judge "these numbers are identical in every run", to the last bit; one run decides nothing unless it refutes.

    Args:
        samples: for each run the numbers that are said to be one.
    """
    spread = max((max(sample) - min(sample) for sample in samples), default=0.0)
    if spread > 0:
        return Judgement("refuted", spread)
    return Judgement("inconclusive" if len(samples) < 2 else "reproduced", spread)


def against(ours: Summary, published: Summary, confidence: float = EQUIVALENCE) -> Difference:
    """Ours − published by the test that the published number of runs calls for."""
    if published.std is None:
        return against_single_run(ours, published.mean, confidence)
    return (pooled if published.n >= POOLED_RUNS else welch)(ours, published, confidence)


def testable(published: Summary, tolerance: float) -> bool:
    """Whether the tolerance is at least twice the standard error of the published mean, as far as that is known."""
    return published.std is None or tolerance >= 2 * published.std / sqrt(published.n)


def _made(tests: Sequence[Difference]) -> int:
    """How many of these tests could be made, at least one: the others are none by which a level could be missed."""
    return max(1, sum(test.p is not None for test in tests))


def _together(
    pairs: Sequence[tuple[Summary, Summary]], tolerances: Sequence[float], tests: int, compare: Compare
) -> Judgement:
    """Every pair against its tolerance: reproduced if all are, refuted if one is at the level α / tests."""
    found = [compare(*pair, EQUIVALENCE) for pair in pairs]
    strict = [compare(*pair, 1 - 2 * ALPHA / tests) for pair in pairs]
    outside = [place for place, test in enumerate(strict) if placed(test.interval, tolerances[place]) == "refuted"]
    ratios = [_in_tolerances(test.difference, allowed) for test, allowed in zip(found, tolerances, strict=True)]
    at = max(outside or range(len(found)), key=ratios.__getitem__)
    inside = all(
        placed(test.interval, allowed) == "reproduced" for test, allowed in zip(found, tolerances, strict=True)
    )
    verdict: VerdictName = "refuted" if outside else "reproduced" if inside else "inconclusive"
    known = [test.p for test in found if test.p is not None]
    p = min(1.0, tests * min(known)) if known else None
    return Judgement(verdict, found[at].difference, found[at].interval, p=p, seen=detectable(found[at]), at=at)


def _in_tolerances(difference: float, tolerance: float) -> float:
    """How many tolerances a difference is; of a tolerance of zero, none or infinitely many."""
    return abs(difference) / tolerance if tolerance else inf if difference else 0.0


def _check(ours: Summary, published: Summary) -> tuple[float, float] | None:
    """Welch's interval where the pooled one decides."""
    return welch(ours, published, EQUIVALENCE).interval if published.n >= POOLED_RUNS else None


def placed(interval: tuple[float, float] | None, tolerance: float) -> VerdictName:
    """Whether an interval lies inside ± tolerance, wholly outside, or neither."""
    if interval is None:
        return "inconclusive"
    low, high = interval
    if -tolerance <= low and high <= tolerance:
        return "reproduced"
    return "refuted" if low > tolerance or high < -tolerance else "inconclusive"


def _signs(tests: Sequence[Difference], strict: Sequence[Difference]) -> Judgement:
    lows = [test.interval[0] if test.interval else -inf for test in tests]
    below = [place for place, test in enumerate(strict) if test.interval and test.interval[1] < 0]
    at = below[0] if below else lows.index(min(lows))
    verdict: VerdictName = "refuted" if below else "reproduced" if lows[at] > 0 else "inconclusive"
    p = None if any(test.p is None for test in tests) else max(test.p or 0.0 for test in tests)
    test = tests[at]
    return Judgement(verdict, test.difference, test.interval, 1 - ALPHA, p=p, seen=detectable(test), at=at)
