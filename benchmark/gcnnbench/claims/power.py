"""How probable it is that a true claim is reproduced, from what was published alone: the power of the equivalence test.

Our own seeds do not enter, so the answer stands before the first run and does not move with their noise. Their true
deviation is not known either: it has the distribution that the published deviation s of m runs leaves open,
σ² = s² (m − 1) / χ²(m − 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import sqrt

import numpy as np
from scipy import stats

from gcnnbench.claims.verdicts import POOLED_RUNS
from gcnnbench.statistics import ALPHA, Summary, welch_error

POWER = 0.8
MOST_SEEDS = 1_000
"""Up to so many seeds are tried."""
GRID = 48
"""Quantiles of each spread over which the probability is averaged."""


def power(seeds: int, published: Summary, tolerance: float) -> float | None:
    """The probability that a true claim is called reproduced with so many seeds of ours.

    Null where the published spread is not known: of a single run, or of runs whose deviation is printed as nothing.
    """
    return _power(seeds, published.n, tolerance / published.std) if published.std else None


def seeds_for_power(published: Summary, tolerance: float) -> int | None:
    """The smallest number of our seeds, from two on, at which a true claim is reproduced with probability `POWER`.

    Null if none up to `MOST_SEEDS` is, and where `power` is.
    """
    return _seeds(published.n, tolerance / published.std) if published.std else None


def seeds_for_order(pairs: Sequence[tuple[Summary, Summary]]) -> int | None:
    """The smallest number of our seeds of each network at which a true order is reproduced with probability `POWER`.

    True means and deviations are taken to be the published ones. An order is reproduced if Welch's interval lies above
    zero for every pair (greater, less); the probability of all is bounded from below by those of each (Bonferroni).
    Null if no number up to `MOST_SEEDS` suffices, where a pair was not published in this order, and where its spread is
    not known or nothing.
    """
    known = [(more.mean - less.mean, more.std or 0.0, less.std or 0.0) for more, less in pairs if more.std and less.std]
    if len(known) < len(pairs) or min(shift for shift, *_ in known) <= 0:
        return None
    for seeds in range(2, MOST_SEEDS + 1):
        tests = [(shift, *welch_error(more, seeds, less, seeds)) for shift, more, less in known]
        missed = sum(stats.nct.cdf(stats.t.ppf(1 - ALPHA / 2, df), df, shift / error) for shift, error, df in tests)
        if 1 - missed >= POWER:
            return seeds
    return None


@lru_cache(maxsize=1024)
def _seeds(runs: int, tolerance: float) -> int | None:
    low, high = 2, 4
    while _power(high, runs, tolerance) < POWER:
        if high == MOST_SEEDS:
            return None
        low, high = high, min(2 * high, MOST_SEEDS)
    while low < high:  # the power rises with the seeds
        middle = (low + high) // 2
        if _power(middle, runs, tolerance) >= POWER:
            high = middle
        else:
            low = middle + 1
    return high


@lru_cache(maxsize=4096)
def _power(seeds: int, runs: int, tolerance: float) -> float:
    """In units of the published deviation: P(|d| + t · se ≤ tolerance), averaged over both deviations."""
    quantiles = (np.arange(GRID) + 0.5) / GRID
    true = np.sqrt((runs - 1) / stats.chi2.ppf(quantiles, runs - 1))[:, None]
    ours = true**2 * (stats.chi2.ppf(quantiles, seeds - 1) / (seeds - 1) if seeds > 1 else np.zeros(1))
    if runs >= POOLED_RUNS:
        df = np.full(1, seeds + runs - 2.0)
        error = np.sqrt(((seeds - 1) * ours + runs - 1) / df * (1 / seeds + 1 / runs))
    elif seeds > 1:
        one, two = ours / seeds, 1 / runs
        error, df = np.sqrt(one + two), (one + two) ** 2 / (one**2 / (seeds - 1) + two**2 / (runs - 1))
    else:
        return 0.0
    room = tolerance - stats.t.ppf(1 - ALPHA, df) * error
    reach = stats.norm.cdf(room / (true * sqrt(1 / seeds + 1 / runs)))
    return float(np.mean(np.maximum(0.0, 2 * reach - 1)))
