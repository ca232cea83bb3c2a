"""Which records enter a row, in what order rows stand, and why a seed is missing."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from gcnnbench.leaderboard.board import Board, Row
from gcnnbench.runs.record import Record
from gcnnbench.statistics import holm, summary, welch

if TYPE_CHECKING:
    from tests.toy_records import Toy


def row(board: Board, entry: str) -> Row:
    (found,) = [row for row in board.rows if row.entry == entry]
    return found


def reasons(board: Board, entry: str) -> dict[int, str]:
    return {lack.seed: lack.why for lack in row(board, entry).missing}


def aside(board: Board) -> set[tuple[str, str, tuple[int, ...]]]:
    return {(found.entry, found.why, found.seeds) for found in board.not_counted}


def test_rows_hold_the_summary_over_seeds(toy: Toy, study: list[Record]) -> None:
    board = toy.board(*study)
    exact = row(board, "p4cnn@28")
    assert exact.metrics["accuracy.upright"] == summary([0.94, 0.943, 0.946])
    assert exact.metrics["accuracy.unseen"] == summary([0.94, 0.943, 0.946])
    assert row(board, "z2cnn@28").metrics["accuracy.orbit"] == summary(
        [(960 + 3 * 300) / 4000, (962 + 3 * 310) / 4000, (964 + 3 * 320) / 4000]
    )
    assert (exact.seeds, exact.missing, exact.group, exact.numeric_mode) == ((0, 1, 2), (), "p4", "fp32")
    assert exact.test_set_error == pytest.approx((0.943 * 0.057 / 1000) ** 0.5)
    assert {found.entry: found.equivariance for found in board.rows} == {
        "z2cnn@28": "none",
        "p4cnn@28": "exact",
        "p4cnn@27": "approximate",
        "p4cnn@29": "approximate",
    }
    assert board.findings == ()


def test_rows_are_ranked_and_say_what_they_cannot_tell_apart(toy: Toy, study: list[Record]) -> None:
    board = toy.board(*study)
    assert [(found.entry, found.rank, found.tied) for found in board.rows] == [
        ("p4cnn@29", 1, False),
        ("p4cnn@27", 2, True),
        ("z2cnn@28", 3, False),
        ("p4cnn@28", 4, False),
    ]


def test_the_card_says_by_what_rows_are_ranked(toy: Toy, study: list[Record]) -> None:
    board = toy.board(*study, rank_by="accuracy.unseen")
    assert next(iter(board.rows)).entry == "p4cnn@28"
    assert [found.rank for found in toy.board(*study, rank_by="auc").rows] == [None] * 4


def test_every_entry_has_a_row_even_if_nothing_was_run(toy: Toy) -> None:
    board = toy.board(toy.record("p4cnn@28", 0))
    assert {found.entry for found in board.rows} == set(toy.entries)
    assert reasons(board, "z2cnn@28") == {0: "not run", 1: "not run", 2: "not run"}
    assert row(board, "z2cnn@28").equivariance == "none"
    assert row(board, "p4cnn@27").equivariance == "unknown"
    assert reasons(board, "p4cnn@28") == {1: "not run", 2: "not run"}
    assert row(board, "p4cnn@28").rank is None
    assert board.has_runs
    assert not toy.board().has_runs


def test_an_incomplete_row_stands_below_worse_complete_ones(toy: Toy) -> None:
    best = [toy.record("p4cnn@27", seed, 0.99) for seed in range(2)]
    worst = [toy.record("p4cnn@28", seed, 0.5) for seed in range(3)]
    board = toy.board(*best, *worst)
    assert [(found.entry, found.rank) for found in board.rows][:2] == [("p4cnn@28", 1), ("p4cnn@27", None)]


def test_a_failed_seed_is_missing_with_its_reason(toy: Toy) -> None:
    board = toy.board(
        toy.failure("p4cnn@28", 1, "the loss is NaN"), toy.failure("p4cnn@28", 2, "another protocol", "c" * 64)
    )
    assert reasons(board, "p4cnn@28") == {
        0: "not run",
        1: "failed (training, epoch 3): the loss is NaN",
        2: "not run",
    }


def test_a_record_of_another_protocol_is_stale_and_never_averaged(toy: Toy, study: list[Record]) -> None:
    stale = toy.record("p4cnn@28", 1, 0.1, spec_digest="c" * 64)
    board = toy.board(*[found for found in study if (found.entry, found.seed) != ("p4cnn@28", 1)], stale)
    assert row(board, "p4cnn@28").metrics["accuracy.upright"] == summary([0.94, 0.946])
    assert reasons(board, "p4cnn@28") == {1: "stale: made by another protocol (cccccccc)"}
    assert aside(board) == {("p4cnn@28", "stale", (1,))}


def test_repeats_extra_seeds_limited_and_old_records_stand_aside(toy: Toy, study: list[Record]) -> None:
    others = [
        toy.record("p4cnn@28", 0, 0.1),
        toy.record("p4cnn@28", 3, 0.1),
        toy.record("z2cnn@28", 1, 0.1, official=False, unofficial_because="limited"),
        toy.record("p4cnn@27", 2, 0.1, benchmark="toy@1"),
        toy.record("p4cnn@31", 0, 0.1),
        toy.record("p4cnn@29", 0, 0.1, benchmark="toy@3"),
    ]
    board = toy.board(*study, *others, kinds={len(study): "repeat"})
    assert [found.metrics for found in board.rows] == [found.metrics for found in toy.board(*study).rows]
    assert aside(board) == {
        ("p4cnn@28", "repeat", (0,)),
        ("p4cnn@28", "extra seed", (3,)),
        ("z2cnn@28", "unofficial", (1,)),
        ("p4cnn@27", "superseded", (2,)),
        ("p4cnn@31", "no entry of the card", (0,)),
        ("p4cnn@29", "of a newer version", (0,)),
    }


def test_a_missing_seed_names_the_record_that_does_not_count(toy: Toy) -> None:
    board = toy.board(
        toy.record("p4cnn@28", 0, official=False, unofficial_because="limited"),
        toy.record("p4cnn@28", 1, benchmark="toy@1"),
    )
    assert reasons(board, "p4cnn@28") == {
        0: "limited: run with --limit only",
        1: "not run; a record of toy@1 is superseded",
        2: "not run",
    }


def test_a_metric_that_one_seed_lacks_has_no_mean(toy: Toy) -> None:
    board = toy.board(toy.record(seed=0, auc=0.9), toy.record(seed=1))
    assert row(board, "p4cnn@28").metrics["auc"] is None
    both = toy.board(*(toy.record(seed=seed, auc=0.9) for seed in range(2)))
    assert row(both, "p4cnn@28").metrics["auc"] == summary([0.9, 0.9])


def test_numeric_modes_share_no_row(toy: Toy, study: list[Record]) -> None:
    rest = [found for found in study if (found.entry, found.seed) != ("p4cnn@28", 2)]
    board = toy.board(*rest, toy.record("p4cnn@28", 2, 0.5, numeric_mode="tf32"))
    modes = {found.numeric_mode: found for found in board.rows if found.entry == "p4cnn@28"}
    assert modes["fp32"].seeds == (0, 1)
    assert modes["tf32"].seeds == (2,)
    assert [lack.why for lack in modes["fp32"].missing] == ["not run in this numeric mode; a record is tf32"]
    assert modes["fp32"].rank is modes["tf32"].rank is None


def test_times_of_two_machines_share_no_mean(toy: Toy) -> None:
    found = row(
        toy.board(*(toy.record(seed=seed, device_name=name) for seed, name in enumerate(["one", "two", "one"]))),
        "p4cnn@28",
    )
    assert found.seeds == (0, 1, 2)
    assert [(speed.machine.name, speed.test_images_per_second) for speed in found.speeds] == [
        ("one", summary([1000.0, 1002.0])),
        ("two", summary([1001.0])),
    ]


def test_disagreements_are_findings_and_leave_the_answer_unknown(toy: Toy) -> None:
    mixed = toy.board(toy.record(seed=0), toy.record(seed=1, exactness=("approximate", "approximate")))
    assert row(mixed, "p4cnn@28").equivariance == "unknown"
    assert mixed.findings == ("p4cnn@28: its records disagree on equivariance: approximate (seed 1), exact (seed 0)",)
    against = toy.board(toy.record(exactness=("exact", "approximate")))
    assert row(against, "p4cnn@28").equivariance == "unknown"
    assert against.findings == (
        "p4cnn@28 seed 0: the certificate says exact, the measurement approximate (first break: pool)",
    )
    sizes = toy.record(seed=1).cost.model_copy(update={"parameters": 7})
    parameters = toy.board(toy.record(seed=0), toy.record(seed=1).model_copy(update={"cost": sizes}))
    assert parameters.findings == (
        "p4cnn@28: its records disagree on the number of parameters: 7 (seed 1), 24990 (seed 0)",
    )


@pytest.mark.parametrize(
    ("exactness", "expected"),
    [
        (("unknown", "exact"), "exact"),
        (("unknown", "approximate"), "approximate"),
        (("approximate", "unknown"), "approximate"),
        (("unknown", "unknown"), "unknown"),
        ((None, None), "unknown"),
    ],
)
def test_equivariance_comes_from_the_record(toy: Toy, exactness: tuple[str, str], expected: str) -> None:
    assert row(toy.board(toy.record(exactness=exactness)), "p4cnn@28").equivariance == expected


def test_pairs_are_welch_tests_adjusted_over_the_benchmark(toy: Toy, study: list[Record]) -> None:
    board = toy.board(*study)
    assert [(pair.exact, pair.approximate) for pair in board.pairs] == [
        ("p4cnn@28", "p4cnn@27"),
        ("p4cnn@28", "p4cnn@29"),
    ]
    upright = [next(found for found in pair.contrasts if found.metric == "accuracy.upright") for pair in board.pairs]
    expected = welch(summary([0.94, 0.943, 0.946]), summary([0.97, 0.972, 0.974]))
    assert upright[0].difference == pytest.approx(-0.029)
    assert (upright[0].ci95, upright[0].p) == (expected.interval, expected.p)
    adjusted = holm({place: found.p for place, found in enumerate(upright)})
    assert [found.p_holm for found in upright] == [adjusted[0], adjusted[1]]
    assert adjusted[0] != upright[0].p


def test_pairs_fall_back_on_the_card_where_records_do_not_know(toy: Toy) -> None:
    unknown = [
        toy.record(entry, seed, 0.9 + 0.01 * seed, exactness=(None, None))
        for entry in ("p4cnn@28", "p4cnn@27")
        for seed in range(2)
    ]
    board = toy.board(*unknown)
    assert row(board, "p4cnn@28").equivariance == "unknown"
    compared, empty = board.pairs
    assert (compared.approximate, len(compared.contrasts), compared.why_empty) == ("p4cnn@27", 4, None)
    assert (empty.approximate, empty.contrasts, empty.why_empty) == ("p4cnn@29", (), "p4cnn@29 not run")


def test_a_cure_is_compared_at_its_size_only(toy: Toy) -> None:
    models = {**toy.models, "p4cnn-cured": toy.models["p4cnn"], "p4cnnx": toy.models["p4cnn"]}
    entries = ["p4cnn@27", "p4cnn@29", "p4cnn-cured@27", "p4cnnx@27"]
    verdicts = {entry: "approximate" if entry.startswith("p4cnn@") else "exact" for entry in entries}
    runs = [toy.record(entry, exactness=(verdict, verdict)) for entry, verdict in verdicts.items()]
    board = toy.board(*runs, entries=entries, models=models)
    assert [(pair.architecture, pair.exact, pair.approximate) for pair in board.pairs] == [
        ("p4cnn", "p4cnn-cured@27", "p4cnn@27")
    ]


def test_no_pair_where_nothing_is_unseen(toy: Toy, study: list[Record]) -> None:
    evaluation = toy.card().evaluation.model_dump(mode="json", exclude_none=True) | {
        "seen": ["upright", "rot90", "rot180", "rot270"]
    }
    board = toy.board(*study, evaluation=evaluation)
    assert row(board, "p4cnn@28").metrics["accuracy.unseen"] is None
    assert {found.metric for pair in board.pairs for found in pair.contrasts} == {
        "accuracy.upright",
        "accuracy.orbit",
        "accuracy.curve_mean",
    }


def test_a_board_does_not_depend_on_the_order_of_records(toy: Toy, study: list[Record]) -> None:
    some = study[:2] + study[3:5]
    assert len({repr(toy.board(*order)) for order in permutations(some)}) == 1
