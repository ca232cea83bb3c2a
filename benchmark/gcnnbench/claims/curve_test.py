"""One test of a whole curve: a permutation test of the mean squared standardised shift (Fisher 1935; Pitman 1937).

Places along a curve are strongly correlated, so one test of all of them sees more than one test a place. It needs the
single published runs: under the null hypothesis ours and theirs are draws of one process, and which k of all runs are
ours is a matter of chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gcnnbench.statistics import ALPHA

Runs = NDArray[np.float64]
"""Runs of one network (runs, places)."""

DRAWS = 9_999
"""How many divisions of the runs are drawn where there are more than that."""
BOOTSTRAPS = 200
SEEDS = (*range(3, 13), 14, 16, 18, 20, 25, 30, 40, 50, 75, 100)
"""The numbers of seeds for which the power of a curve's equivalence test is estimated; fewer decide no curve."""
SAME = 5e-4
"""Two places of a curve are copies if the accuracies there differ by less in every run: float noise of a few images."""


@dataclass(frozen=True)
class CurveTest:
    """What one test of a whole curve found; null where there are no single runs or too few of them.

    `seen` is the smallest shift of the whole curve that it finds with probability 0.8, in deviations of a run;
    `distinct` is the number of places that are not copies of one another (an exact network's curve repeats).
    """

    p: float | None
    seen: float | None
    distinct: int


def curve_test(ours: Runs, published: Runs) -> CurveTest:
    """Test whether two sets of curves come from one process.

    With all runs standardised at each place, the statistic is the mean over places of (mean of ours − mean of theirs)²;
    p is its rank among all ways to choose as many runs, or among `DRAWS` of them and the observed one. Null where no
    division could have reached the level `ALPHA`.

    Args:
        ours: our seeds (seeds, places).
        published: the single published runs (runs, places).
    """
    seeds, runs = len(ours), len(published)
    every = np.concatenate([ours, published])
    scale = every.std(axis=0, ddof=1)
    if comb(seeds + runs, seeds) * ALPHA <= 1 or not scale.any():
        return CurveTest(None, None, distinct(published))
    standard = (every - every.mean(axis=0))[:, scale > 0] / scale[scale > 0]
    # The mean of the others follows, as all runs together have mean zero.
    shifts = (1 / seeds + 1 / runs) * (divisions(seeds, runs) @ standard)
    sizes = (shifts**2).mean(axis=1)
    p = float(np.mean(sizes >= sizes[0] * (1 - 1e-9)))
    bound = np.quantile(sizes, 1 - ALPHA, method="higher")
    return CurveTest(p, _seen(sizes, shifts.mean(axis=1), float(bound)), distinct(published))


def distinct(published: Runs) -> int:
    """How many places of a curve (runs, places) are not copies of an earlier one: 9 of 36 for an exact network."""
    apart = np.abs(published[:, :, None] - published[:, None, :]).max(axis=0) >= SAME
    return sum(bool(apart[place, :place].all()) for place in range(len(apart)))


@lru_cache(maxsize=64)
def divisions(seeds: int, runs: int) -> NDArray[np.float64]:
    """Which runs are called ours (divisions, seeds + runs), 0 or 1; the first row is how they were observed."""
    total = seeds + runs
    if comb(total, seeds) <= DRAWS:
        chosen = np.array(list(combinations(range(total), seeds)))
    else:
        drawn = np.random.default_rng(seeds).random((DRAWS, total)).argpartition(seeds, axis=1)[:, :seeds]
        chosen = np.concatenate([np.arange(seeds)[None], drawn])
    rows = np.zeros((len(chosen), total))
    np.put_along_axis(rows, chosen, 1.0, axis=1)
    return rows


def curve_power(published: Runs, tolerances: NDArray[np.float64]) -> dict[int, float]:
    """The probability that a true curve is reproduced, by the number of our seeds, for each of `SEEDS`.

    Estimated by drawing both sides again from the single published runs (bootstrap): a curve is reproduced where every
    place passes its two one-sided tests with pooled variances.

    Args:
        published: the single published runs (runs, places).
        tolerances: at each place.
    """
    runs = len(published)
    random = np.random.default_rng(runs)
    errors = (published - published.mean(axis=0)) * np.sqrt(runs / (runs - 1))
    theirs = random.multinomial(runs, np.full(runs, 1 / runs), size=BOOTSTRAPS) @ errors / runs
    variance = published.var(axis=0, ddof=1)
    n = np.array(SEEDS)[:, None]
    bounds = stats.t.ppf(1 - ALPHA, n + runs - 2) * np.sqrt(1 / n + 1 / runs)
    passed = np.zeros(len(SEEDS))
    for mean in theirs:
        drawn = errors[random.integers(runs, size=SEEDS[-1])]
        ours = drawn.cumsum(axis=0)[n[:, 0] - 1] / n
        squares = (drawn**2).cumsum(axis=0)[n[:, 0] - 1] - n * ours**2
        pooled = np.sqrt((squares + (runs - 1) * variance) / (n + runs - 2))
        passed += (np.abs(ours - mean) + bounds * pooled <= tolerances).all(axis=1)
    return {seeds: float(share) for seeds, share in zip(SEEDS, passed / BOOTSTRAPS, strict=True)}


def _seen(sizes: NDArray[np.float64], means: NDArray[np.float64], bound: float) -> float:
    """The shift of all places at which 80% of null draws, moved by it, reach the bound; the larger of both signs.

    A draw with mean square A and mean B that is moved by δ has A + 2δB + δ², so it reaches the bound T at
    δ = √(B² − A + T) − B.
    """
    root = np.sqrt(np.maximum(0.0, means**2 - sizes + bound))
    return float(max(np.quantile(np.maximum(0.0, root + sign * means), 0.8) for sign in (1, -1)))
