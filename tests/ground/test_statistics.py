"""Statistics against worked examples from the literature and against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gcnnbench import statistics as s

SLEEP = ([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
"""Extra hours of sleep under two drugs: Student (1908), Biometrika 6, and the example of R's `t.test`."""


def test_summary_of_students_sleep() -> None:
    found = s.summary(SLEEP[0])
    assert found.n == 10
    assert found.mean == pytest.approx(0.75)
    assert found.std == pytest.approx(1.789010, abs=1e-6)
    interval = stats.t.interval(0.95, 9, 0.75, stats.sem(SLEEP[0]))
    assert found.ci95 == pytest.approx(interval)


def test_one_seed_has_no_spread_and_equal_seeds_have_none() -> None:
    assert s.summary([0.5]) == s.Summary(1, 0.5, None, None)
    equal = s.summary([0.1] * 3)
    assert (equal.mean, equal.std, equal.ci95) == (0.1, 0.0, (0.1, 0.1))
    with pytest.raises(ValueError, match="at least one value"):
        s.summary([])


def test_moments_give_the_same_summary() -> None:
    found = s.summary(SLEEP[1])
    assert s.from_moments(found.mean, found.std, found.n) == found
    assert s.from_moments(1.0, 0.5, 1).std is None
    population = float(np.std(SLEEP[1]))
    assert s.sample_std(population, 10) == pytest.approx(found.std)
    with pytest.raises(ValueError, match=r"n \(=1\) must be at least 2"):
        s.sample_std(0.1, 1)


def test_welch_on_students_sleep_as_r_prints_it() -> None:
    found = s.welch(s.summary(SLEEP[0]), s.summary(SLEEP[1]))
    assert found.df == pytest.approx(17.776, abs=1e-3)
    assert found.p == pytest.approx(0.07939, abs=1e-5)
    assert found.interval == pytest.approx((-3.3654832, 0.2054832), abs=1e-7)
    assert not found.separates


def test_paired_on_students_sleep_as_r_prints_it() -> None:
    found = s.paired([one - two for one, two in zip(*SLEEP, strict=True)])
    assert found.p == pytest.approx(0.002833, abs=1e-6)
    assert found.interval == pytest.approx((-2.4598858, -0.7001142), abs=1e-7)
    assert found.separates


def test_without_a_spread_there_is_no_test() -> None:
    single, equal, spread = s.summary([0.5]), s.summary([0.6, 0.6]), s.summary([0.5, 0.6])
    undefined = [
        s.welch(single, spread),
        s.welch(equal, equal),
        s.against_single_run(single, 0.4),
        s.paired([0.1, 0.1]),
        s.paired([380 / 400 - 368 / 400, 381 / 400 - 369 / 400]),  # 12 images of 400 both, to the last bit not
        s.welch(s.summary([9.6e-16, 9.9e-16]), s.summary([1.01e-15, 1.04e-15])),  # errors of exact networks
        s.pooled(equal, s.summary([0.7])),
        s.against_single_run(equal, 0.5),
    ]
    assert all((test.interval, test.p, test.separates) == (None, None, False) for test in undefined)
    assert s.welch(equal, spread).df == 1
    assert s.prediction_interval(single) is s.prediction_interval(equal) is None
    assert s.detectable(s.welch(equal, equal)) is None


@pytest.mark.parametrize(("n", "spread"), [((3, 3), (1.0, 1.0)), ((5, 20), (3.0, 1.0)), ((10, 100), (0.5, 1.0))])
def test_welch_intervals_cover(n: tuple[int, int], spread: tuple[float, float]) -> None:
    random = np.random.default_rng(1)
    draws = [random.normal(0.0, spread[side], (1500, n[side])).tolist() for side in (0, 1)]
    covered = []
    for first, second in zip(*draws, strict=True):
        interval = s.welch(s.summary(first), s.summary(second)).interval
        assert interval is not None
        covered.append(interval[0] <= 0 <= interval[1])
    assert 0.935 < np.mean(covered) < 0.98


def test_one_more_run_falls_into_its_interval_and_single_runs_keep_the_level() -> None:
    random = np.random.default_rng(2)
    inside, rejected = [], []
    for values in random.normal(0.9, 0.01, (2000, 6)).tolist():
        sample, more = s.summary(values[:5]), values[5]
        interval = s.prediction_interval(sample)
        assert interval is not None
        inside.append(interval[0] <= more <= interval[1])
        rejected.append(s.against_single_run(sample, more).separates)
    assert 0.982 < np.mean(inside) < 0.996
    assert 0.035 < np.mean(rejected) < 0.065


def test_holm_worked_example() -> None:
    """p = 0.01, 0.04, 0.03, 0.005: times 4, 3, 2, 1 in ascending order, never falling (Holm 1979, section 2)."""
    found = s.holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005, "undefined": None})
    assert found == {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02, "undefined": None}
    assert list(found) == ["a", "b", "c", "d", "undefined"]
    assert s.holm({1: 0.9, 2: 0.8}) == {1: 1.0, 2: 1.0}


@pytest.mark.parametrize(
    ("correct", "images", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_in_newcombe(correct: int, images: int, low: float, high: float) -> None:
    """Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3."""
    assert s.wilson(correct, images) == pytest.approx((low, high), abs=5e-5)


def test_binomial_error_is_the_spread_of_test_sets() -> None:
    drawn = np.random.default_rng(3).binomial(500, 0.9, 20_000) / 500
    assert s.binomial_error(0.9, 500) == pytest.approx(float(drawn.std(ddof=1)), rel=0.02)
    with pytest.raises(ValueError, match=r"images \(=0\)"):
        s.binomial_error(0.5, 0)


def test_mcnemar_worked_examples() -> None:
    """Fagerland, Lydersen & Laake (2013), table 1: 1 against 7 discordant pairs, exact conditional p = 0.0703."""
    assert s.mcnemar(1, 7) == s.mcnemar(7, 1) == pytest.approx(0.0703, abs=5e-5)
    assert s.mcnemar(0, 0) == 1.0
    assert s.mcnemar(5, 5) == 1.0


def test_paired_bootstrap_is_the_bootstrap_over_images() -> None:
    random = np.random.default_rng(4)
    differences = random.choice([-1.0, 0.0, 0.0, 0.0, 1.0, 1.0], 400)
    indices = random.integers(0, 400, (8000, 400))
    plain = np.quantile(differences[indices].mean(axis=1), [0.025, 0.975])
    found = s.paired_bootstrap(differences, seed=0)
    assert found == pytest.approx(tuple(plain), abs=0.004)
    assert found == s.paired_bootstrap(differences, seed=0)
    assert s.paired_bootstrap(np.zeros(10), seed=0) == (0.0, 0.0)


@pytest.mark.parametrize(("n", "effect"), [(17, 1.0), (26, 0.8), (64, 0.5), (394, 0.2)])
def test_detectable_as_in_cohens_tables(n: int, effect: float) -> None:
    """Cohen (1988), table 2.4.1: group sizes that find an effect d with power 0.80 at the two-sided level 0.05."""
    sample = s.from_moments(0.0, 1.0, n)
    assert s.detectable(s.welch(sample, sample)) == pytest.approx(effect, rel=0.02)


def test_detectable_with_two_seeds_each() -> None:
    sample = s.from_moments(0.0, 1.0, 2)
    effect = s.detectable(s.welch(sample, sample))
    assert effect is not None
    draws = np.random.default_rng(5).normal(0, 1, (4000, 4))
    p = stats.ttest_ind(draws[:, :2] + effect, draws[:, 2:], axis=1).pvalue
    assert float(np.mean(np.asarray(p) < s.ALPHA)) == pytest.approx(0.8, abs=0.03)
