"""The verdict rule under simulation: what it calls reproduced and refuted, and how often it is wrong."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmark.statistics import Summary, from_moments, summary
from benchmark.verification.verdicts import (
    CURVE_SEEDS,
    judge,
    judge_curve,
    judge_growth,
    judge_identity,
    judge_order,
    seeds_needed,
)

STD, TOLERANCE, CASES = 0.01, 0.01, 600


def moments(values: NDArray[np.float64]) -> Summary:
    if len(values) == 1:
        return Summary(1, float(values[0]), None, None)
    return Summary(len(values), float(values.mean()), float(values.std(ddof=1)), None)


def rates(error: float, seeds: int, runs: int | None, seed: int) -> dict[str, float]:
    """How often each verdict falls if our true mean is the published one plus `error`, both with normal errors."""
    random = np.random.default_rng(seed)
    found: Counter[str] = Counter()
    for _ in range(CASES):
        ours, published = random.normal(0.9 + error, STD, seeds), random.normal(0.9, STD, runs or 1)
        found[judge(moments(ours), moments(published), TOLERANCE).verdict] += 1
    return {verdict: number / CASES for verdict, number in found.items()}


@pytest.mark.parametrize("runs", [100, 10, None], ids=["of 100 runs", "of 10 runs", "single-run"])
@pytest.mark.parametrize("seeds", [3, 20])
@pytest.mark.parametrize("sign", [1, -1])
def test_an_error_of_the_tolerance_is_called_either_way_in_at_most_5_per_cent(
    runs: int | None, seeds: int, sign: int
) -> None:
    found = rates(sign * TOLERANCE, seeds, runs, seed=seeds)
    assert found.get("reproduced", 0) <= 0.05
    assert found.get("refuted", 0) <= 0.05


def test_twenty_seeds_decide_a_tolerance_of_one_deviation() -> None:
    assert rates(0, 20, 100, seed=1)["reproduced"] >= 0.9
    assert rates(2 * TOLERANCE, 20, 100, seed=2)["refuted"] >= 0.9
    assert rates(0, 20, 100, seed=3).get("refuted", 0) == 0


def test_verdicts_follow_the_interval() -> None:
    published = from_moments(0.9, 0.01, 100)
    ours = from_moments(0.9, 0.01, 100)
    assert judge(ours, published, 0.01).verdict == "reproduced"
    assert judge(from_moments(0.93, 0.01, 100), published, 0.01).verdict == "refuted"
    assert judge(from_moments(0.87, 0.01, 100), published, 0.01).verdict == "refuted"
    undecided = judge(from_moments(0.91, 0.01, 100), published, 0.01)
    assert undecided.verdict == "inconclusive"
    assert undecided.difference == pytest.approx(0.01)


def test_one_seed_and_seeds_without_spread_decide_nothing() -> None:
    published = from_moments(0.5, 0.01, 100)
    assert judge(summary([0.9]), published, 0.01).verdict == "inconclusive"
    assert judge(summary([0.9, 0.9]), Summary(1, 0.5, None, None), 0.01).verdict == "inconclusive"
    assert judge(summary([0.9, 0.9]), published, 0.01).verdict == "refuted"


def test_a_claim_without_spread_is_a_single_run() -> None:
    ours = from_moments(0.9, 0.01, 20)
    found = judge(ours, Summary(1, 0.9, None, None), 0.03)
    assert (found.verdict, found.single_run) == ("reproduced", True)
    assert found.interval is not None
    assert found.interval[1] == pytest.approx(2.093024 * 0.01 * (1 / 20 + 1) ** 0.5)


def test_the_seeds_needed_decide_and_one_fewer_does_not() -> None:
    published = from_moments(0.9, 0.01, 100)
    ours = from_moments(0.905, 0.01, 5)
    found = judge(ours, published, 0.01)
    assert found.verdict == "inconclusive"
    needed = found.seeds_needed
    assert needed is not None
    assert judge(from_moments(0.905, 0.01, needed), published, 0.01).verdict == "reproduced"
    assert judge(from_moments(0.905, 0.01, needed - 1), published, 0.01).verdict == "inconclusive"
    assert seeds_needed(from_moments(0.91, 0.01, 5), published, 0.01) is None, "the difference is the tolerance"
    assert seeds_needed(ours, from_moments(0.9, 0.1, 3), 0.01) is None, "the published spread is too wide"
    assert seeds_needed(summary([0.9]), published, 0.01) is None, "our spread is not known"


def curve_rate(error: float, points: int, seeds: int, seed: int) -> Counter[str]:
    random = np.random.default_rng(seed)
    found: Counter[str] = Counter()
    for _ in range(80):
        true = np.linspace(0.5, 0.9, points)
        shifted = true.copy()
        shifted[3] += error
        ours = [moments(column) for column in random.normal(shifted, STD, (seeds, points)).T]
        published = [moments(column) for column in random.normal(true, STD, (100, points)).T]
        found[judge_curve(ours, published, [TOLERANCE] * points).verdict] += 1
    return found


def test_curves_hold_together() -> None:
    edge = curve_rate(TOLERANCE, 12, 20, seed=4)
    assert edge["reproduced"] + edge["refuted"] <= 0.05 * 80
    assert curve_rate(0, 12, 60, seed=5)["reproduced"] >= 0.9 * 80
    assert curve_rate(2 * TOLERANCE, 12, 60, seed=6)["refuted"] >= 0.9 * 80


def test_a_curve_below_ten_seeds_is_inconclusive_and_says_where() -> None:
    published = [from_moments(0.9, 0.001, 100)] * 4
    ours = [from_moments(mean, 0.001, CURVE_SEEDS - 1) for mean in (0.9, 0.9, 0.5, 0.9)]
    found = judge_curve(ours, published, [0.01] * 4)
    assert (found.verdict, found.at, found.seeds_needed) == ("inconclusive", 2, CURVE_SEEDS)
    enough = [Summary(CURVE_SEEDS, point.mean, point.std, None) for point in ours]
    assert judge_curve(enough, published, [0.01] * 4).verdict == "refuted"
    same = [from_moments(0.9, 0.001, CURVE_SEEDS)] * 4
    assert judge_curve(same, published, [0.01] * 4).verdict == "reproduced"
    with pytest.raises(ValueError, match="zip"):
        judge_curve(same, published[:3], [0.01] * 4)


def test_order_needs_every_pair() -> None:
    high, low, wide = from_moments(0.9, 0.01, 5), from_moments(0.8, 0.01, 5), from_moments(0.8, 0.2, 5)
    assert judge_order([(high, low), (high, low)]).verdict == "reproduced"
    assert judge_order([(high, low), (low, high)]).verdict == "refuted"
    undecided = judge_order([(high, low), (high, wide)])
    assert (undecided.verdict, undecided.at) == ("inconclusive", 1)
    assert judge_order([(summary([0.9]), low)]).verdict == "inconclusive"


def test_growth_is_within_runs() -> None:
    assert judge_growth([[0.1, 0.12, 0.11]]).verdict == "reproduced"
    assert judge_growth([[0.1, 0.12, 0.11], [-0.1, -0.12, -0.11]]).verdict == "refuted"
    assert judge_growth([[0.1]]).verdict == "inconclusive"


def test_identity_is_to_the_last_bit() -> None:
    assert judge_identity([[0.9, 0.9], [0.8, 0.8]]).verdict == "reproduced"
    assert judge_identity([[0.9, 0.9]]).verdict == "inconclusive"
    assert judge_identity([[0.9, 0.9], [0.8, 0.8 + 1e-16]]).verdict == "refuted"
