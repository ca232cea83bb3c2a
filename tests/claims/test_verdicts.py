"""The verdict rule under simulation: what it calls reproduced, refuted and different, and how often it is wrong."""

from __future__ import annotations

from collections import Counter
from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from gcnnbench.cards.registry import Registry
from gcnnbench.claims.claims import FOLDER, CurveClaim, NumberClaim
from gcnnbench.claims.curve_test import CurveTest, Runs, curve_power, curve_test, distinct
from gcnnbench.claims.power import MOST_SEEDS, power, seeds_for_power
from gcnnbench.claims.reading import read_claims
from gcnnbench.claims.single_runs import published_runs
from gcnnbench.claims.verdicts import (
    CURVE_SEEDS,
    Judgement,
    judge,
    judge_curve,
    judge_equal,
    judge_growth,
    judge_identity,
    judge_order,
)
from gcnnbench.statistics import ALPHA, Summary, from_moments, summary, welch

STD, TOLERANCE, CASES = 0.01, 0.01, 400
NO_RUNS = CurveTest(None, None, 4)


def moments(values: NDArray[np.float64]) -> Summary:
    if len(values) == 1:
        return Summary(1, float(values[0]), None, None)
    return Summary(len(values), float(values.mean()), float(values.std(ddof=1)), None)


def judgements(error: float, seeds: int, runs: int | None, seed: int) -> list[Judgement]:
    """Judgements where our true mean is the published one plus `error`, both with normal errors."""
    random = np.random.default_rng(seed)
    return [
        judge(moments(random.normal(error, STD, seeds)), moments(random.normal(0, STD, runs or 1)), TOLERANCE)
        for _ in range(CASES)
    ]


def rates(error: float, seeds: int, runs: int | None, seed: int) -> dict[str, float]:
    """How often each verdict falls."""
    found = Counter(one.verdict for one in judgements(error, seeds, runs, seed))
    return {verdict: number / CASES for verdict, number in found.items()}


@pytest.fixture(scope="module")
def numbers() -> list[NumberClaim]:
    """The MNIST study's 52 number claims with runs and a spread."""
    (card,) = (card for card in read_claims(Registry.load()) if card.source == "edixhoven2023")
    return [one for one in card.claims if isinstance(one, NumberClaim) and one.spread is not None]


@pytest.fixture(scope="module")
def curves() -> dict[str, Runs]:
    """The official runs behind each curve over test angles (runs, places)."""
    (card,) = (card for card in read_claims(Registry.load()) if card.source == "edixhoven2023")
    curved = [one for one in card.claims if isinstance(one, CurveClaim) and one.quantity == "accuracy.angle"]
    found = {one.id: published_runs(FOLDER / "edixhoven2023.yaml", one) for one in curved}
    return {name: runs for name, runs in found.items() if runs is not None}


def test_a_pair_that_cannot_be_tested_tightens_no_level() -> None:
    low, high, single = from_moments(0.90, 0.01, 5), from_moments(0.916, 0.01, 5), from_moments(0.9, None, 1)
    p = welch(low, high).p or 1.0
    assert ALPHA / 2 < p < ALPHA
    assert judge_order([(low, high), (low, single)]).verdict == "refuted"
    assert judge_order([(low, high), (low, low)]).verdict == "inconclusive", "two tests were made"
    assert judge_equal([(low, high), (low, single)], 0.001).p == p
    assert judge_equal([(low, high), (low, low)], 0.001).p == pytest.approx(2 * p)
    falling = [-0.8, -0.3, -0.5, -0.3]
    assert judge_growth([falling, [0.1]]).verdict == judge_growth([falling]).verdict == "refuted"
    assert judge_growth([falling, [0.1, 0.2, -0.1]]).verdict == "inconclusive"


@pytest.mark.parametrize(("seeds", "least"), [(5, 22), (10, 37)])
def test_true_claims_are_reproduced_as_often_as_the_rule_promises(
    numbers: list[NumberClaim], seeds: int, least: float
) -> None:
    random, repeats, reproduced = np.random.default_rng(seeds), 40, 0
    assert len(numbers) == 52
    for claim in numbers:
        true = claim.published
        assert true.std is not None
        for _ in range(repeats):
            theirs = moments(random.normal(true.mean, true.std, true.n))
            tolerance = max(0.003, theirs.std or 0.0)
            ours = moments(random.normal(true.mean, true.std, seeds))
            reproduced += judge(ours, theirs, tolerance).verdict == "reproduced"
    assert reproduced / repeats >= least


@pytest.mark.parametrize("runs", [100, 10, 5, None], ids=["of 100 runs", "of 10 runs", "of 5 runs", "single-run"])
@pytest.mark.parametrize("seeds", [3, 20])
@pytest.mark.parametrize("sign", [1, -1])
def test_an_error_of_the_tolerance_is_called_either_way_in_at_most_5_per_cent(
    runs: int | None, seeds: int, sign: int
) -> None:
    found = rates(sign * TOLERANCE, seeds, runs, seed=seeds)
    chance = 2 * sqrt(0.05 * 0.95 / CASES)
    assert found.get("reproduced", 0) <= 0.05 + chance
    assert found.get("refuted", 0) <= 0.05 + chance


@pytest.mark.parametrize("runs", [100, 10])
def test_twice_the_tolerance_is_called_different_at_ten_seeds(runs: int) -> None:
    differ = sum((one.p or 1.0) < 0.05 for one in judgements(2 * TOLERANCE, 10, runs, seed=1))
    alarms = sum((one.p or 1.0) < 0.05 for one in judgements(0, 10, runs, seed=2))
    assert differ >= 0.8 * CASES
    assert alarms <= (0.05 + 2 * sqrt(0.05 * 0.95 / CASES)) * CASES


@pytest.mark.parametrize(
    ("runs", "std", "seeds", "expected"),
    [(100, 0.17, 3, 0.82), (100, 0.25, 5, 0.66), (100, 1.0, 10, 0.82), (10, 0.18, 5, 0.79), (10, 1.0, 20, 0.55)],
)
def test_the_power_is_that_of_a_simulation(runs: int, std: float, seeds: int, expected: float) -> None:
    published, tolerance = from_moments(0.0, std, runs), max(0.3, std)
    random, repeats, found = np.random.default_rng(runs), 400, 0
    for _ in range(repeats):
        # The published deviation is given; the true one is what it leaves open.
        true = std * sqrt((runs - 1) / random.chisquare(runs - 1))
        theirs = from_moments(random.normal(0, true / sqrt(runs)), std, runs)
        found += judge(moments(random.normal(0, true, seeds)), theirs, tolerance).verdict == "reproduced"
    told = power(seeds, published, tolerance)
    assert told is not None
    assert abs(told - found / repeats) <= 3 * sqrt(0.25 / repeats)
    assert told == pytest.approx(expected, abs=0.07)


def test_the_seeds_for_power_are_the_fewest() -> None:
    for runs, std, needed in ((100, 0.17, 3), (100, 0.25, 7), (100, 1.0, 10), (10, 0.18, 7)):
        published, tolerance = from_moments(0.0, std, runs), max(0.3, std)
        assert seeds_for_power(published, tolerance) == needed
        assert (power(needed, published, tolerance) or 0) >= 0.8 > (power(needed - 1, published, tolerance) or 0)
    assert seeds_for_power(from_moments(0.0, 1.0, 10), 1.0) is None, "ten published runs leave too much open"
    assert seeds_for_power(Summary(1, 0.0, None, None), 0.3) is None, "nobody knows the spread of one run"
    rounded = from_moments(0.0, 0.0, 100)
    assert (seeds_for_power(rounded, 0.3), power(5, rounded, 0.3)) == (None, None), "a spread that rounding hides"
    many = seeds_for_power(from_moments(0.0, 1.0, 100), 0.315)
    assert many is not None
    assert 512 < many <= MOST_SEEDS, "so many are tried"


def test_the_smallest_shift_seen_is_seen_with_probability_four_fifths() -> None:
    random = np.random.default_rng(5)
    shift = judge(from_moments(0, STD, 5), from_moments(0, STD, 100), TOLERANCE).seen
    assert shift is not None
    found = [judge(moments(random.normal(shift, STD, 5)), moments(random.normal(0, STD, 100)), 1.0) for _ in range(400)]
    assert sum((one.p or 1.0) < 0.05 for one in found) / 400 == pytest.approx(0.8, abs=0.06)


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
    assert (undecided.p or 1.0) < 1e-6, "inconclusive, and it differs"


def test_variances_are_pooled_from_ten_published_runs_on() -> None:
    ours = from_moments(0.9, 0.02, 4)
    many, few = from_moments(0.9, 0.01, 10), from_moments(0.9, 0.01, 9)
    half = 1.7822876 * sqrt((3 * 0.02**2 + 9 * 0.01**2) / 12 * (1 / 4 + 1 / 10))
    assert judge(ours, many, 0.05).interval == pytest.approx((-half, half))
    assert judge(ours, many, 0.05).welch == welch(ours, many, 0.9).interval
    assert judge(ours, few, 0.05).interval == welch(ours, few, 0.9).interval
    assert judge(ours, few, 0.05).welch is None, "nothing else decides"


def test_a_single_seed_counts_where_the_published_spread_is_known() -> None:
    published = from_moments(0.5, 0.01, 100)
    found = judge(summary([0.9]), published, 0.01)
    assert (found.verdict, found.welch) == ("refuted", None)
    assert judge(summary([0.51]), published, 0.01).verdict == "inconclusive"
    assert judge(summary([0.9]), from_moments(0.5, 0.01, 5), 0.01).verdict == "inconclusive"
    assert judge(summary([0.9, 0.9]), Summary(1, 0.5, None, None), 0.01).verdict == "inconclusive"


def test_a_tolerance_below_the_published_noise_is_not_testable() -> None:
    published = from_moments(0.9, 0.01, 16)
    assert judge(from_moments(0.9, 0.01, 100), published, 0.00499).verdict == "not testable"
    assert judge(from_moments(0.9, 0.01, 1000), published, 0.00501).verdict == "reproduced"
    same = [published] * 4
    ours = [from_moments(0.9, 0.01, 100)] * 4
    assert judge_curve(ours, same, [0.02, 0.02, 0.001, 0.02], NO_RUNS).verdict == "not testable"


def test_a_claim_without_spread_is_a_single_run() -> None:
    ours = from_moments(0.9, 0.01, 20)
    found = judge(ours, Summary(1, 0.9, None, None), 0.03)
    assert (found.verdict, found.single_run) == ("reproduced", True)
    assert found.interval is not None
    assert found.interval[1] == pytest.approx(1.729133 * 0.01 * (1 / 20 + 1) ** 0.5)


def drawn(runs: Runs, seeds: int, random: np.random.Generator) -> tuple[Runs, Runs]:
    """Some of the runs called ours, and the rest."""
    order = random.permutation(len(runs))
    return runs[order[:seeds]], runs[order[seeds:]]


def test_a_curve_test_rarely_cries_wolf_and_sees_two_deviations(curves: dict[str, Runs]) -> None:
    random, repeats = np.random.default_rng(0), 16
    alarms, seen, tests = 0, Counter[int](), 0
    for runs in curves.values():
        spread = runs.std(axis=0, ddof=1)
        for _ in range(repeats):
            tests += 1
            ours, theirs = drawn(runs, 5, random)
            alarms += (curve_test(ours, theirs).p or 1.0) < 0.05
            seen[len(runs)] += (curve_test(ours + 2 * spread, theirs).p or 1.0) < 0.05
    assert alarms / tests <= 0.05 + 2 * sqrt(0.05 * 0.95 / tests)
    assert set(seen) == {100, 10}
    assert seen[100] >= 0.8 * 8 * repeats
    assert seen[100] + seen[10] >= 0.8 * tests


def test_a_curve_test_sees_its_smallest_shift_in_four_fifths(curves: dict[str, Runs]) -> None:
    runs, random = curves["uniform-p4-27-curve"], np.random.default_rng(1)
    ours, theirs = drawn(runs, 5, random)
    shift = (curve_test(ours, theirs).seen or 0.0) * runs.std(axis=0, ddof=1)
    found = [curve_test(ours + shift, theirs).p for ours, theirs in (drawn(runs, 5, random) for _ in range(60))]
    assert sum((p or 1.0) < 0.05 for p in found) / 60 == pytest.approx(0.8, abs=0.15)


def test_p_of_a_curve_is_its_rank_among_all_divisions() -> None:
    random = np.random.default_rng(2)
    ours, theirs = random.normal(3, 1, (2, 6)), random.normal(0, 1, (8, 6))
    assert curve_test(ours, theirs).p == pytest.approx(1 / 45), "C(10, 2) divisions, and none is more extreme"
    assert curve_test(ours[:1], theirs).p is None, "one in nine can never be below 5%"
    assert curve_test(np.ones((3, 6)), np.ones((8, 6))).p is None, "nothing varies"


def test_an_exact_network_has_nine_places(curves: dict[str, Runs]) -> None:
    assert {name for name, runs in curves.items() if distinct(runs) == 9} == {
        f"{regime}-p4-28-curve" for regime in ("upright", "uniform", "biased-20")
    }
    assert {distinct(runs) for name, runs in curves.items() if "p4-28" not in name} == {36}


def test_the_power_of_a_curve_is_how_often_the_rule_reproduces_it(curves: dict[str, Runs]) -> None:
    runs, random = curves["uniform-p4-28-curve"], np.random.default_rng(3)
    published = [moments(column) for column in runs.T]
    tolerances = [max(0.003, point.std or 0.0) for point in published]
    told = curve_power(runs, np.array(tolerances))
    found = 0
    for _ in range(60):
        ours = (
            runs[random.integers(100, size=8)] - runs[random.integers(100, size=100)].mean(axis=0) + runs.mean(axis=0)
        )
        points = [moments(column) for column in ours.T]
        found += judge_curve(points, published, tolerances, NO_RUNS).verdict == "reproduced"
    assert told[8] == pytest.approx(found / 60, abs=0.15)
    assert told[50] > 0.95 > told[3]


def curve_rate(error: float, points: int, seeds: int, seed: int) -> Counter[str]:
    random = np.random.default_rng(seed)
    found: Counter[str] = Counter()
    for _ in range(80):
        true = np.linspace(0.5, 0.9, points)
        shifted = true.copy()
        shifted[3] += error
        ours = [moments(column) for column in random.normal(shifted, STD, (seeds, points)).T]
        published = [moments(column) for column in random.normal(true, STD, (100, points)).T]
        found[judge_curve(ours, published, [TOLERANCE] * points, CurveTest(None, None, points)).verdict] += 1
    return found


def test_curves_hold_together() -> None:
    edge = curve_rate(TOLERANCE, 12, 20, seed=4)
    assert edge["reproduced"] <= 0.1 * 80
    assert edge["refuted"] <= 0.1 * 80
    assert curve_rate(0, 12, 60, seed=5)["reproduced"] >= 0.9 * 80
    assert curve_rate(2 * TOLERANCE, 12, 60, seed=6)["refuted"] >= 0.9 * 80


def test_a_curve_below_three_seeds_is_inconclusive_and_says_where() -> None:
    published = [from_moments(0.9, 0.001, 100)] * 4
    ours = [from_moments(mean, 0.001, CURVE_SEEDS - 1) for mean in (0.9, 0.9, 0.5, 0.9)]
    found = judge_curve(ours, published, [0.01] * 4, NO_RUNS)
    assert (found.verdict, found.at) == ("inconclusive", 2)
    enough = [Summary(CURVE_SEEDS, point.mean, point.std, None) for point in ours]
    assert judge_curve(enough, published, [0.01] * 4, NO_RUNS).verdict == "refuted"
    same = [from_moments(0.9, 0.001, CURVE_SEEDS)] * 4
    assert judge_curve(same, published, [0.01] * 4, NO_RUNS).verdict == "reproduced"
    with pytest.raises(ValueError, match="zip"):
        judge_curve(same, published[:3], [0.01] * 4, NO_RUNS)


def test_equal_means_need_every_pair_and_are_judged_by_welch() -> None:
    one, near, far = from_moments(0.9, 0.001, 12), from_moments(0.9005, 0.001, 12), from_moments(0.95, 0.001, 12)
    assert judge_equal([(one, near), (one, one)], 0.003).verdict == "reproduced"
    assert judge_equal([(one, near), (one, far)], 0.003).verdict == "refuted"
    assert judge_equal([(one, near)], 0.003).interval == welch(one, near, 0.9).interval


def test_a_tolerance_of_zero_is_no_error() -> None:
    same, other = from_moments(0.9, 0.001, 5), from_moments(0.95, 0.001, 5)
    assert judge_equal([(same, same), (same, other)], 0.0).verdict == "refuted"
    certain = [from_moments(0.9, 0.001, 10), from_moments(1.0, 0.0, 10)]
    found = judge_curve([same, from_moments(1.0, 0.0, 5)], certain, [0.01, 0.0], NO_RUNS)
    assert (found.verdict, found.at) == ("inconclusive", 0), "two samples without any spread have no test"


def test_order_needs_every_pair() -> None:
    high, low, wide = from_moments(0.9, 0.01, 5), from_moments(0.8, 0.01, 5), from_moments(0.8, 0.2, 5)
    assert judge_order([(high, low), (high, low)]).verdict == "reproduced"
    assert judge_order([(high, low), (low, high)]).verdict == "refuted"
    undecided = judge_order([(high, low), (high, wide)])
    assert (undecided.verdict, undecided.at) == ("inconclusive", 1)
    assert undecided.p == welch(high, wide).p, "the claim is as doubtful as its weakest pair"
    assert judge_order([(summary([0.9]), low)]).verdict == "inconclusive"


def test_growth_is_within_runs() -> None:
    assert judge_growth([[0.1, 0.12, 0.11]]).verdict == "reproduced"
    assert judge_growth([[0.1, 0.12, 0.11], [-0.1, -0.12, -0.11]]).verdict == "refuted"
    assert judge_growth([[0.1]]).verdict == "inconclusive"


def test_identity_is_to_the_last_bit() -> None:
    assert judge_identity([[0.9, 0.9], [0.8, 0.8]]).verdict == "reproduced"
    assert judge_identity([[0.9, 0.9]]).verdict == "inconclusive"
    assert judge_identity([[0.9, 0.9], [0.8, 0.8 + 1e-16]]).verdict == "refuted"
