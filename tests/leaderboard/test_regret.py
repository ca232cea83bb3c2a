"""The regret table: worst case over conditions, against the best fixed entry, paired over seeds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gcnnbench.cards.registry import Registry
from gcnnbench.cli.app import build_app
from gcnnbench.errors import UserError
from gcnnbench.leaderboard.regret import as_markdown, condition_of, regrets

RESULTS = Path(__file__).parents[2] / "results"

ACCURACIES = {
    "circle": {
        "exact": {0: 0.92, 1: 0.94},
        "plain": {0: 0.84, 1: 0.86},
        "learnt": {0: 0.93, 1: 0.95},
        "late": {0: 0.9},
    },
    "halves": {
        "exact": {0: 0.46, 1: 0.48},
        "plain": {0: 0.88, 1: 0.90},
        "learnt": {0: 0.87, 1: 0.86},
    },
}
SEEDS = {"circle": 2, "halves": 2}


def test_the_worst_case_ranks_and_nothing_is_clipped() -> None:
    table = regrets("toy", ACCURACIES, {"learnt"}, SEEDS)
    assert table.best == {"circle": "exact", "halves": "plain"}
    assert [row.entry for row in table.rows] == ["learnt", "plain", "exact"]
    first = table.rows[0]
    assert first.regrets["circle"].difference == pytest.approx(-0.01), "better than any fixed entry"
    assert first.worst == "halves"
    assert first.largest == pytest.approx(0.025)
    assert table.rows[2].largest == pytest.approx(0.42)
    assert table.incomplete == ("late",)


def test_a_learnt_entry_is_never_the_yardstick() -> None:
    """Planted: with all entries fixed the learnt one would be the best of the circle."""
    assert regrets("toy", ACCURACIES, set(), SEEDS).best["circle"] == "learnt"


def test_differences_are_taken_within_a_seed() -> None:
    shifted = {"only": {"a": {0: 0.9, 1: 0.5}, "b": {0: 0.8, 1: 0.4 - 1e-3}}}
    (_, row) = regrets("toy", shifted, set(), {"only": 2}).rows
    interval = row.regrets["only"].interval
    assert interval is not None
    assert interval[1] - interval[0] < 0.02, "the spread between seeds, 40 points, is no part of it"


def test_the_p_of_a_worst_case_counts_the_cases_it_was_chosen_from() -> None:
    best = {0: 0.90, 1: 0.91, 2: 0.92}
    other = {"near": {0: 0.90, 1: 0.90, 2: 0.91}, "far": {0: 0.80, 1: 0.79, 2: 0.78}}
    accuracies = {where: {"best": best, "other": own} for where, own in other.items()}
    table = regrets("toy", accuracies, set(), {"near": 3, "far": 3})
    row = next(row for row in table.rows if row.entry == "other")
    alone = row.regrets["far"].p
    assert row.worst == "far"
    assert alone is not None
    assert row.p == pytest.approx(2 * alone)


def test_the_table_says_what_is_not_ranked() -> None:
    text = as_markdown(regrets("toy", ACCURACIES, {"learnt"}, SEEDS))
    cells = [[cell.strip() for cell in line.split("|")[1:6]] for line in text.splitlines()]
    assert ["learnt", "learnt", "−1.00", "+2.50", "+2.50 (halves)"] in cells
    assert "paired over 2 seeds." in text
    assert "Not ranked, for want of seeds: late." in text


def test_a_lone_seed_is_neither_yardstick_nor_ranked() -> None:
    """The best of the circle has one seed of two: its mean is over other draws than those of the others."""
    lucky = {where: {**found, "lucky": {1: 0.99}} for where, found in ACCURACIES.items()}
    table = regrets("toy", lucky, {"learnt"}, SEEDS)
    without = regrets("toy", ACCURACIES, {"learnt"}, SEEDS)
    assert (table.best, table.rows) == (without.best, without.rows)
    assert table.incomplete == ("late", "lucky")


def test_families_are_found_by_name() -> None:
    registry = Registry.load()
    conditions = {condition_of(card) for card in registry.family("degree-mnist")}
    assert conditions == {"upright", "sector", "circle", "quarter", "halves"}
    with pytest.raises(UserError, match=r"there is no family .degree. of benchmarks; did you mean degree-"):
        registry.family("degree")


@pytest.mark.parametrize(("learnt", "seeds"), [({"a"}, 1), (set(), 2)])
def test_no_fixed_entry_with_every_seed_no_table(learnt: set[str], seeds: int) -> None:
    table = regrets("toy", {"only": {"a": {0: 0.5}}}, learnt, {"only": seeds})
    assert (table.best, table.rows) == ({}, ())
    with pytest.raises(UserError, match="has every seed of every condition; no fixed one has those of only"):
        as_markdown(table)


def test_without_a_condition_no_worst_case_is_known() -> None:
    """The exact network is the best of the circle, where all are complete, and the worst of the halves."""
    late = {**ACCURACIES, "halves": {entry: {0: own[0]} for entry, own in ACCURACIES["halves"].items()}}
    table = regrets("toy", late, {"learnt"}, SEEDS)
    assert (table.rows, table.incomplete) == ((), ("exact", "plain", "learnt", "late"))
    with pytest.raises(UserError, match="no fixed one has those of halves"):
        as_markdown(table)


def test_seeds_of_several_kinds_of_device_do_not_pair() -> None:
    table = regrets("toy", ACCURACIES, {"learnt"}, SEEDS)
    told = "Records are of several kinds of device (cpu, cuda): dropout draws other masks"
    assert told in " ".join(as_markdown(replace(table, devices=("cpu", "cuda"))).split())
    assert "device" not in as_markdown(replace(table, devices=("cpu",)))


def test_the_verb_prints_the_table_of_the_committed_records() -> None:
    done = CliRunner().invoke(build_app(), ["regret", "degree-digits", "--results", str(RESULTS)])
    assert done.exit_code == 0, done.output
    assert "| relaxed-p4cnn@12 | learnt" in done.stdout
    assert "Best fixed: z2cnn@12 (halves), p4cnn@12 (quarter)." in " ".join(done.stdout.split())
