"""How many seeds a true order needs, against a simulation of the rule that judges it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.claims.judging import judge_claims
from gcnnbench.claims.next_steps import next_step
from gcnnbench.claims.power import POWER, seeds_for_order
from gcnnbench.claims.reading import read_claims
from gcnnbench.claims.text import claims_as_markdown
from gcnnbench.claims.verdicts import Judgement, judge_order
from gcnnbench.statistics import Summary, from_moments, summary

DRAWS = 2_000
UPRIGHT = [(from_moments(0.9852, 0.0026, 100), from_moments(0.9769, 0.0017, 100))]
NEAR = [(from_moments(0.9700, 0.0060, 100), from_moments(0.9650, 0.0020, 100))]


def reproduced(pairs: list[tuple[Summary, Summary]], seeds: int) -> float:
    """How often the rule reproduces an order whose true means and deviations are these."""
    random = np.random.default_rng(5)

    def drawn(true: Summary) -> Summary:
        return summary(list(random.normal(true.mean, true.std or 0.0, seeds)))

    hits = [judge_order([(drawn(more), drawn(less)) for more, less in pairs]).verdict for _ in range(DRAWS)]
    return hits.count("reproduced") / DRAWS


@pytest.mark.parametrize("pairs", [UPRIGHT, NEAR])
def test_they_are_the_fewest_with_the_power(pairs: list[tuple[Summary, Summary]]) -> None:
    needed = seeds_for_order(pairs)
    assert needed is not None
    noise = 2 * (POWER * (1 - POWER) / DRAWS) ** 0.5
    assert reproduced(pairs, needed) > POWER - noise
    assert reproduced(pairs, needed - 1) < POWER + noise


def test_of_several_pairs_all_must_hold() -> None:
    both = [*UPRIGHT, *NEAR]
    needed = seeds_for_order(both)
    assert needed is not None
    assert needed >= (seeds_for_order(NEAR) or 0)
    assert reproduced(both, needed) > POWER - 0.02


def test_an_order_that_was_not_published_so_or_without_spread_has_no_number() -> None:
    ((more, less),) = UPRIGHT
    assert seeds_for_order([(less, more)]) is None
    assert seeds_for_order([(more, from_moments(0.9769, None, 1))]) is None
    assert seeds_for_order([(from_moments(0.9852, 0.0, 100), from_moments(0.9769, 0.0, 100))]) is None


def test_statements_say_it_where_the_source_has_the_numbers() -> None:
    registry = Registry.load()
    rows = {row.id: row for row in judge_claims(registry, read_claims(registry), {})}
    assert rows["approximate-beats-exact-upright/accuracy-upright"].needed == 4
    assert rows["training-breaks-equivariance/invariance-error-grows"].needed is None, "no spread is published"
    line = next(line for line in claims_as_markdown([*rows.values()]).splitlines() if "exact-upright/acc" in line)
    assert [cell.strip() for cell in line.split("|")][4:6] == ["–", "4"], "seen, needs"


@pytest.mark.parametrize(
    ("seeds", "told"),
    [
        (2, "4 seeds would reproduce a true claim: gcnnbench run mnist-upright --entry p4cnn@27 --seeds 0-3"),
        (5, "more seeds: gcnnbench run mnist-upright --entry p4cnn@27 --seeds 0-9"),
    ],
)
def test_an_undecided_statement_asks_for_the_seeds_that_it_needs(seeds: int, told: str) -> None:
    registry = Registry.load()
    rows = {row.id: row for row in judge_claims(registry, read_claims(registry), {})}
    row = rows["approximate-beats-exact-upright/accuracy-upright"]
    undecided = replace(row, entries=("p4cnn@27",), seeds=seeds, judgement=Judgement("inconclusive"))
    assert next_step(undecided, registry.benchmark("mnist-upright")) == told
