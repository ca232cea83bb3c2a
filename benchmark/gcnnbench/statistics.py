"""Statistics: spreads, intervals and tests of samples.

Every spread is the sample standard deviation (ddof = 1) and says its n. What is undefined is null, never zero: one
seed has no spread, and samples without any spread have no test. A spread below `ROUNDING` is none.
"""

from __future__ import annotations

import statistics as stdlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

ALPHA = 0.05
"""The level of every test; intervals cover with probability 1 − ALPHA."""
ROUNDING = 1e-12
"""What is smaller is rounding, as numbers are shares, relative errors or counts: equal differences of shares that are
rounded quotients, or the errors of two exact networks, scatter by 1e-16."""

Key = TypeVar("Key")


@dataclass(frozen=True)
class Summary:
    """A sample in four numbers: n, mean, sample standard deviation (ddof = 1) and 95% t-interval of the mean."""

    n: int
    mean: float
    std: float | None
    ci95: tuple[float, float] | None


@dataclass(frozen=True)
class Difference:
    """An estimated difference, its interval and two-sided p against zero; null where no spread is there to judge by.

    `error` is the standard error of the difference.
    """

    difference: float
    interval: tuple[float, float] | None
    p: float | None
    df: float | None
    error: float | None = None

    @property
    def separates(self) -> bool:
        """Whether the difference is told from zero at the level `ALPHA`."""
        return self.p is not None and self.p < ALPHA


def summary(values: Sequence[float]) -> Summary:
    """The summary of a sample.

    `mean ± t(0.975, n − 1) · s / √n` with `s² = Σ (x − mean)² / (n − 1)`. Sums are exact, so that equal values have
    the spread 0 and not a rounding error.

    Raises:
        ValueError: the sample is empty.
    """
    if not values:
        raise ValueError("a summary needs at least one value")
    mean = stdlib.mean(values)
    if len(values) == 1:
        return Summary(1, mean, None, None)
    return from_moments(mean, stdlib.stdev(values, mean), len(values))


def from_moments(mean: float, std: float | None, n: int) -> Summary:
    """The summary of a sample that is known by its mean and its sample standard deviation (ddof = 1) only."""
    if std is None or n < 2:
        return Summary(n, mean, None, None)
    half = _quantile(1 - ALPHA / 2, n - 1) * std / sqrt(n)
    return Summary(n, mean, std, (mean - half, mean + half))


def sample_std(population_std: float, n: int) -> float:
    """The sample standard deviation that belongs to a population deviation (ddof = 0): `σ · √(n / (n − 1))`.

    Raises:
        ValueError: n is below 2.
    """
    if n < 2:
        raise ValueError(f"n (={n}) must be at least 2 for a spread")
    return population_std * sqrt(n / (n - 1))


def welch(first: Summary, second: Summary, confidence: float = 1 - ALPHA) -> Difference:
    """The difference of two means, first − second, without assuming equal variances (Welch 1947).

    With `v = s² / n` of each sample, `se = √(v₁ + v₂)`, the interval is `d ± t(df) · se` and the degrees of freedom
    are Welch and Satterthwaite's `df = (v₁ + v₂)² / (v₁² / (n₁ − 1) + v₂² / (n₂ − 1))`.
    """
    difference = first.mean - second.mean
    if first.std is None or second.std is None or first.std == second.std == 0:
        return Difference(difference, None, None, None)
    return _difference(difference, *welch_error(first.std, first.n, second.std, second.n), confidence)


def pooled(first: Summary, second: Summary, confidence: float = 1 - ALPHA) -> Difference:
    """The difference of two means, first − second, of samples of equal variance (Student 1908).

    `s² = ((n₁ − 1) s₁² + (n₂ − 1) s₂²) / (n₁ + n₂ − 2)`, `se = s √(1/n₁ + 1/n₂)`, `df = n₁ + n₂ − 2`. A sample of
    one has a mean and nothing to pool, so one of the two may be a single run.
    """
    difference, df = first.mean - second.mean, first.n + second.n - 2
    squares = sum((one.n - 1) * one.std**2 for one in (first, second) if one.std is not None)
    if not squares:
        return Difference(difference, None, None, None)
    return _difference(difference, sqrt(squares / df) * sqrt(1 / first.n + 1 / second.n), df, confidence)


def against_single_run(ours: Summary, published: float, confidence: float = 1 - ALPHA) -> Difference:
    """Our mean minus one published run, whose spread is taken to be ours: `se = s · √(1/n + 1)`, `df = n − 1`."""
    if ours.std is None:
        return Difference(ours.mean - published, None, None, None)
    return _difference(ours.mean - published, ours.std * sqrt(1 / ours.n + 1), ours.n - 1, confidence)


def paired(differences: Sequence[float], confidence: float = 1 - ALPHA) -> Difference:
    """The mean of differences taken within pairs (runs of the same seed): Student's one-sample t against zero."""
    sample = summary(differences)
    if sample.std is None:
        return Difference(sample.mean, None, None, None)
    return _difference(sample.mean, sample.std / sqrt(sample.n), sample.n - 1, confidence)


def prediction_interval(sample: Summary, confidence: float = 0.99) -> tuple[float, float] | None:
    """Where one more run of the same process falls: `mean ± t(n − 1) · s · √(1 + 1/n)`; null without a spread."""
    if sample.std is None or sample.std < ROUNDING:
        return None
    half = _quantile((1 + confidence) / 2, sample.n - 1) * sample.std * sqrt(1 + 1 / sample.n)
    return sample.mean - half, sample.mean + half


def holm(p_values: Mapping[Key, float | None]) -> dict[Key, float | None]:
    """Holm's step-down adjustment (Holm 1979): `p̃₍ᵢ₎ = max over j ≤ i of min(1, (m − j + 1) · p₍ⱼ₎)`, p ascending.

    A null p is a test that could not be made: it stays null and does not count among the m.
    """
    ordered = sorted((p, position, key) for position, (key, p) in enumerate(p_values.items()) if p is not None)
    adjusted: dict[Key, float | None] = dict.fromkeys(p_values)
    largest = 0.0
    for rank, (p, _, key) in enumerate(ordered):
        largest = max(largest, min(1.0, (len(ordered) - rank) * p))
        adjusted[key] = largest
    return adjusted


def binomial_error(accuracy: float, images: int) -> float:
    """The standard error of an accuracy, `√(a (1 − a) / N)`: what another test set of N images would change.

    Raises:
        ValueError: there is no image.
    """
    if images < 1:
        raise ValueError(f"images (={images}) must be at least 1")
    return sqrt(accuracy * (1 - accuracy) / images)


def wilson(correct: int, images: int, confidence: float = 1 - ALPHA) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927); it stays inside [0, 1] and has a width at 0 and 1, too."""
    interval = stats.binomtest(correct, images).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def all_or_none(images: int) -> float:
    """How wide Wilson's interval is where every image is right, or none: a standard error from such a share is zero."""
    return 1 - wilson(images, images)[0]


def mcnemar(first_only: int, second_only: int) -> float:
    """McNemar's exact test: p of a split at least as uneven among the images that only one of two runs gets right.

    Under the null hypothesis `first_only ~ Binomial(first_only + second_only, 1/2)`, two-sided.
    """
    if first_only + second_only == 0:
        return 1.0
    return float(stats.binomtest(first_only, first_only + second_only).pvalue)


def paired_bootstrap(
    differences: NDArray[np.float64], *, seed: int, resamples: int = 10_000, confidence: float = 1 - ALPHA
) -> tuple[float, float]:
    """The percentile interval of a mean difference over test images drawn again with replacement (Efron 1979).

    Drawing N images again is drawing how often each *distinct* difference occurs, a multinomial draw: the same
    distribution at a fraction of the cost.

    Args:
        differences: first minus second for each image (images,), right = 1 and wrong = 0, or means of those over seeds.
        seed: of the random draws.
        resamples: how often the test set is drawn.
        confidence: coverage of the interval.
    """
    values, occurrences = np.unique(differences, return_counts=True)
    total = int(occurrences.sum())
    draws = np.random.default_rng(seed).multinomial(total, occurrences / total, size=resamples)
    low, high = np.quantile(draws @ values / total, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def detectable(test: Difference, power: float = 0.8) -> float | None:
    """The smallest true difference that a two-sided t-test at the level `ALPHA` finds with this probability.

    The δ at which `P(T > t(1 − α/2, df)) = power`, T noncentral t with the test's df and noncentrality `δ / se`.
    Rejections on the wrong side are left out: at a power of 0.8 they are fewer than one in a million. Null where the
    test has no standard error.
    """
    if test.error is None or test.df is None:
        return None
    bound = _quantile(1 - ALPHA / 2, test.df)
    return test.error * float(special.nctdtrinc(test.df, 1 - power, bound))


def welch_error(first_std: float, first_n: int, second_std: float, second_n: int) -> tuple[float, float]:
    """Standard error and degrees of freedom after Welch and Satterthwaite."""
    one, two = first_std**2 / first_n, second_std**2 / second_n
    return sqrt(one + two), (one + two) ** 2 / (one**2 / (first_n - 1) + two**2 / (second_n - 1))


def _difference(difference: float, error: float, df: float, confidence: float) -> Difference:
    if error < ROUNDING:
        return Difference(difference, None, None, None)
    half = _quantile((1 + confidence) / 2, df) * error
    p = 2 * float(stats.t.sf(abs(difference) / error, df))
    return Difference(difference, (difference - half, difference + half), p, df, error)


@lru_cache(maxsize=4096)
def _quantile(probability: float, df: float) -> float:
    return float(stats.t.ppf(probability, df))
