"""What readers see: tables that fit, say their n, and give a reason for every gap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gcnnbench import formatting
from gcnnbench.layout import WIDTH
from gcnnbench.leaderboard.board import Fold
from gcnnbench.leaderboard.export import board_data
from gcnnbench.leaderboard.folds import pooled
from gcnnbench.leaderboard.notes import SINGLE, remarks
from gcnnbench.leaderboard.text import as_latex, as_markdown
from gcnnbench.runs.record import Record
from gcnnbench.statistics import summary

if TYPE_CHECKING:
    from tests.toy_records import Toy


def unfolded(text: str) -> str:
    return " ".join(text.split())


def lines(text: str, start: str) -> list[list[str]]:
    """The cells of the table rows that name an entry."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if start in line]


def test_accuracies_are_in_per_cent_with_one_n(toy: Toy, study: list[Record]) -> None:
    text = as_markdown([toy.board(*study)])
    first, second, pair, _ = lines(text, "p4cnn@28 ")
    assert first == ["4", "p4cnn@28", "exact", "3", *["94.30 ± 0.30"] * 4]
    assert second == ["p4cnn@28", "p4", "24,990", "1.0e-15", "0.00 ± 0.00", "1,001", "a"]
    assert pair[:4] == ["p4cnn@28 − 27", "upright", "3", "−2.90"]
    assert "mean ± sample standard deviation (ddof = 1) over n seeds; ranked by accuracy.upright" in unfolded(text)
    assert "- a: cpu, a CPU, 1 thread." in text
    assert "Numeric mode: fp32." in text
    assert "Test set: 1,000 images." in text
    assert next(cell[0] for cell in lines(text, "| p4cnn@27 ")) == "2 ="


def test_the_default_fits_100_columns(toy: Toy, study: list[Record]) -> None:
    perfect = [found.model_copy(update={"counts": toy.record(upright=1.0, turned=1.0).counts}) for found in study]
    for records in (study, perfect, study[:4], []):
        text = as_markdown([toy.board(*records)])
        tables = [line for line in text.splitlines() if line.startswith("|")]
        assert len(tables) > 8
        assert max(map(len, tables)) <= WIDTH
    wide = as_markdown([toy.board(*study)], wide=True)
    assert "94.30 ± 0.30 [93.55, 95.05]" in wide
    assert "rot270" in wide


def test_words_are_shortened_before_cells(toy: Toy, study: list[Record]) -> None:
    renamed = [(found, found.entry.replace("p4cnn@2", "p4cnn-long-name@2")) for found in study]
    longer = [found.model_copy(update={"entry": name, "spec_digest": toy.digest(name)}) for found, name in renamed]
    toy_models = {**toy.models, "p4cnn-long-name": toy.models["p4cnn"]}
    entries = [entry.replace("p4cnn@2", "p4cnn-long-name@2") for entry in toy.entries]
    text = as_markdown([toy.board(*longer, models=toy_models, entries=entries)])
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert "equiv." in text
    assert max(map(len, tables)) <= WIDTH
    assert lines(text, "p4cnn-long-name@27 ")[0][2] == "approx."


def test_a_learnt_symmetry_shows_what_training_made_of_it(toy: Toy, study: list[Record]) -> None:
    card = toy.models["p4cnn"]
    learnt = card.model_copy(update={"exact_at": (28,), "approximate_at": (29,), "learnt_at": (27,)})
    text = as_markdown([toy.board(*study, models={**toy.models, "p4cnn": learnt})])
    assert lines(text, "| p4cnn@27 ")[0][2] == "learnt (1e-15)"
    assert lines(text, "| p4cnn@28 ")[0][2] == "exact"
    assert "invariance error after training" in unfolded(text)
    assert "learnt" not in as_markdown([toy.board(*study)])


def test_every_gap_has_its_reason(toy: Toy) -> None:
    board = toy.board(
        toy.record("p4cnn@28", 0),
        toy.failure("p4cnn@27", 0, "the loss is NaN"),
        toy.record("p4cnn@29", 1, spec_digest="c" * 64),
    )
    text = as_markdown([board])
    assert lines(text, "| z2cnn@28 ")[0] == ["–", "z2cnn@28", "none", "0/3", *["not run"] * 4]
    assert lines(text, "| p4cnn@27 ")[0][4:] == ["failed"] * 4
    assert lines(text, "| p4cnn@29 ")[0][4:] == ["stale"] * 4
    assert lines(text, "| p4cnn@28 ")[0] == ["–", "p4cnn@28", "exact", "1/3", "90.00", "70.00", "75.00", "82.50"]
    assert "- z2cnn@28, seeds 0–2 not run. Unranked." in text
    assert "- p4cnn@27, seed 0 failed (training, epoch 3): the loss is NaN; seeds 1–2 not run. Unranked." in text
    assert "- p4cnn@28, seeds 1–2 not run. Unranked." in text
    assert "- Not counted: p4cnn@29, seed 1: stale." in text
    assert lines(text, "p4cnn@28 − 27")[0][1:4] == ["–", "–", "not run"]


def test_how_rows_and_pairs_without_all_seeds_are_read(toy: Toy, study: list[Record]) -> None:
    """A better network that is unfinished, and what one seed of it shows; a whole board has no remark."""
    assert list(remarks(toy.board(*study))) == []
    left = [one for one in study if one.entry != "p4cnn@28" or one.seed == 0]
    ranked, single = remarks(toy.board(*left))
    assert ranked == "toy@2: not ranked before all seeds have run, however it stands: p4cnn@28 (1 of 3 seeds)."
    assert single == f"toy@2: {SINGLE}: p4cnn@28 − p4cnn@27, p4cnn@28 − p4cnn@29."
    first = [one for one in study if one.seed == 0]
    assert [told for told in remarks(toy.board(*first)) if "ranked" in told] == [], "where nothing has a rank"


def test_nothing_unseen_is_said(toy: Toy, study: list[Record]) -> None:
    seen = ["upright", "rot90", "rot180", "rot270"]
    evaluation = toy.card().evaluation.model_dump(mode="json", exclude_none=True) | {"seen": seen}
    text = as_markdown([toy.board(*study, evaluation=evaluation)])
    assert lines(text, "| p4cnn@28 ")[0][5] == formatting.NOTHING
    assert "- – under unseen: training has seen every element of the evaluation's group." in text


def test_a_metric_outside_the_four_that_ranks_is_shown(toy: Toy, study: list[Record]) -> None:
    text = as_markdown([toy.board(*study, rank_by="accuracy.seen")])
    assert [cell for cell in lines(text, "equiv")[0] if cell == "seen"] == ["seen"]


def test_auc_stands_beside_the_network_where_it_does_not_rank(toy: Toy) -> None:
    text = as_markdown([toy.board(toy.record(auc=0.75), toy.record("p4cnn@27"))])
    assert lines(text, "inv. error")[0][3] == "AUC %"
    assert {cells[0]: cells[3] for cells in lines(text, "24,990")} == {"p4cnn@28": "75.00", "p4cnn@27": "–"}
    assert "AUC" not in as_markdown([toy.board(toy.record())])


def test_findings_stand_first(toy: Toy) -> None:
    text = as_markdown([toy.board(toy.record(exactness=("exact", "approximate")))])
    assert text.index("**Finding.** p4cnn@28 seed 0") < text.index("| entry")


def test_machines_have_letters_and_their_own_speeds(toy: Toy) -> None:
    runs = [toy.record(seed=seed, device_name=name) for seed, name in enumerate(["one", "two", "one"])]
    text = as_markdown([toy.board(*runs)])
    ((_, first),) = [(found, found[-2:]) for found in lines(text, "| p4cnn@28 ") if found[-1] == "a"]
    assert first == ["1,001", "a"]
    assert "| b " in text
    assert "- b: cpu, two, 1 thread." in text


def test_means_and_pairs_that_mix_devices_are_told(toy: Toy) -> None:
    broken = ("approximate", "approximate")
    runs = [toy.record(seed=seed, device=device) for seed, device in enumerate(["cpu", "cuda"])]
    text = unfolded(as_markdown([toy.board(*runs, toy.record("p4cnn@27", device="cuda", exactness=broken))]))
    assert "- p4cnn@28: its mean mixes devices (cpu, cuda)." in text
    assert "- p4cnn@28 − p4cnn@27 mixes devices (cpu, cuda); dropout draws other masks" in text
    assert "p4cnn@27: its mean" not in text
    apart = unfolded(as_markdown([toy.board(toy.record(), toy.record("p4cnn@27", device="cuda", exactness=broken))]))
    assert "- p4cnn@28 ran on cpu, p4cnn@27 on cuda: what the device does is not separated" in apart
    assert "mixes devices" not in apart
    assert "mixes devices" not in as_markdown([toy.board(toy.record(), toy.record("p4cnn@27", exactness=broken))])


def test_latex_is_a_booktabs_table_with_nothing_unescaped(toy: Toy, study: list[Record]) -> None:
    text = as_latex([toy.board(*study)])
    for needed in ("\\toprule", "\\midrule", "\\bottomrule", "94.30 $\\pm$ 0.30", "flips \\%", "\\caption{", "$-$2.90"):
        assert needed in text
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert not set(body) & set("±−–≥")
    assert body.count("\\begin{table}") == body.count("\\end{table}") == 3


def test_the_same_records_make_the_same_bytes(toy: Toy, study: list[Record]) -> None:
    backwards = list(reversed(study))
    for make in (as_markdown, as_latex):
        assert make([toy.board(*study)]) == make([toy.board(*backwards)])


@pytest.mark.parametrize(
    ("seeds", "text"),
    [((3,), "seed 3"), ((0, 1, 2, 5), "seeds 0–2, 5"), ((4, 2), "seeds 2, 4")],
)
def test_seeds_are_listed(seeds: tuple[int, ...], text: str) -> None:
    assert formatting.listed(seeds) == text


def test_numbers_are_written_as_readers_expect() -> None:
    assert formatting.percent(summary([1.0])) == "100.00"
    assert formatting.percent(summary([0.5, 0.6]), tight=True) == "55.00±7.07"
    assert formatting.points(-0.0123) == "−1.23"
    assert formatting.points(0.0123) == "+1.23"
    assert [formatting.probability(p) for p in (None, 0.0456, 2.6e-4, 0.0)] == ["–", "0.046", "3e-04", "<1e-99"]
    assert formatting.count(24990) == "24,990"
    assert formatting.error(summary([2.14e-15])) == "2.1e-15"


def test_folds_stand_one_by_one_and_pooled(toy: Toy) -> None:
    split = {"train": {"part": "all"}, "test": {"part": "all"}, "shuffle": "seed", "folds": 3}
    found = [
        toy.record(entry, seed, 0.5 + seed / 10, 0.5, auc=0.6)
        for entry in ("p4cnn@28", "z2cnn@28")
        for seed in range(3)
    ]
    broken = ("approximate", "approximate")
    found += [toy.record("p4cnn@27", seed, 0.6 + seed / 20, 0.4, exactness=broken) for seed in range(2)]
    board = toy.board(*found, split=split)
    text = as_markdown([board])
    assert ["p4cnn@28", "upright", "50.00", "60.00", "70.00", "60.00"] in lines(text, "p4cnn@28 ")
    assert ["", "AUC", "60.00", "60.00", "60.00", "60.00"] in lines(text, "AUC")
    assert ["p4cnn@27", "upright", "60.00", "65.00", "–", "62.50"] in lines(text, "p4cnn@27 ")
    pair = next(cell for cell in lines(text, "p4cnn@28 − 27") if cell[1] == "upright")
    assert pair[2:5] == ["2", "−7.50", "[−39.27, +24.27]"], "over the two folds of both, not of the means"
    assert "Student's 95% interval over the folds of both" in unfolded(text)
    assert "all of them on 2,000 or 3,000 images" in unfolded(text)
    row = next(row for row in board_data(board)["rows"] if row["entry"] == "p4cnn@28")
    assert row["folds"]["pooled"]["accuracy.upright"] == pytest.approx(0.6)
    assert [each["fold"] for each in row["folds"]["each"]] == [0, 1, 2]
    assert row["test_images"] == 3000
    assert "folds" not in board_data(toy.board(*found))["rows"][0]
    assert "Cross-testing" in as_latex([board])


def test_networks_tested_on_other_folds_are_not_compared(toy: Toy) -> None:
    split = {"train": {"part": "all"}, "test": {"part": "all"}, "shuffle": "seed", "folds": 4}
    found = [toy.record("p4cnn@28", seed, 0.5 + seed / 10, 0.5) for seed in (0, 1)]
    broken = ("approximate", "approximate")
    found += [toy.record("p4cnn@27", seed, 0.6 + seed / 20, 0.4, exactness=broken) for seed in (2, 3)]
    board = toy.board(*found, split=split, seeds=4)
    pair = next(pair for pair in board.pairs if pair.approximate == "p4cnn@27")
    assert (pair.contrasts, pair.why_empty) == ((), "no common seed")
    assert lines(as_markdown([board]), "p4cnn@28 − 27")[0][:4] == ["p4cnn@28 − 27", "–", "–", "no common seed"]


def test_ranks_and_pairs_of_folds_are_decided_by_one_test(toy: Toy) -> None:
    split = {"train": {"part": "all"}, "test": {"part": "all"}, "shuffle": "seed", "folds": 3}
    ahead = {seed: 0.5 + seed / 10 + 0.02 + seed / 1000 for seed in range(3)}
    broken = ("approximate", "approximate")
    found = [toy.record("p4cnn@28", seed, 0.5 + seed / 10) for seed in range(3)]
    found += [toy.record("p4cnn@27", seed, ahead[seed], exactness=broken) for seed in range(3)]
    found += [toy.record("z2cnn@28", seed, 0.69 - seed / 10) for seed in range(3)]

    apart = toy.board(*found, split=split)
    assert [(row.entry, row.rank, row.tied) for row in apart.rows[:3]] == [
        ("p4cnn@27", 1, False),
        ("p4cnn@28", 2, False),
        ("z2cnn@28", 3, True),
    ], "folds that scatter by ten points hide no two points within every fold"
    (upright,) = (found for found in apart.pairs[0].contrasts if found.metric == "accuracy.upright")
    assert upright.p is not None
    assert upright.p < 0.01
    assert "above (Student's paired test over the folds of both, p ≥ 0.05" in unfolded(as_markdown([apart]))

    without = toy.board(*found)
    assert [row.tied for row in without.rows[:3]] == [False, True, True], "without folds nothing is paired"
    assert "above (Welch's test, p ≥ 0.05" in unfolded(as_markdown([without]))


def test_pooled_counts_every_image_and_every_pair_once() -> None:
    folds = (
        Fold(0, 0, 10, 21, {"accuracy.upright": 0.5, "auc": 0.6, "accuracy.orbit": 0.5}),
        Fold(1, 1, 30, 200, {"accuracy.upright": 0.9, "auc": 0.8, "accuracy.orbit": None}),
    )
    assert pooled(folds, "accuracy.upright") == pytest.approx(32 / 40)
    assert pooled(folds, "auc") == pytest.approx((21 * 0.6 + 200 * 0.8) / 221)
    assert pooled(folds, "accuracy.orbit") is None
    assert pooled((), "auc") is None
