"""JSON and CSV: numbers as numbers, accuracies as fractions."""

from __future__ import annotations

import csv
import io
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.errors import UserError
from gcnnbench.leaderboard import tables
from gcnnbench.leaderboard.board import Board
from gcnnbench.leaderboard.export import as_csv, as_json, pairs_as_csv
from gcnnbench.leaderboard.frame import boards
from gcnnbench.leaderboard.reading import Results, read_results, run
from gcnnbench.runs.record import Record
from gcnnbench.runs.spec import spec
from gcnnbench.statistics import summary

if TYPE_CHECKING:
    from tests.toy_records import Toy


def parsed(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_json_has_the_form_of_the_design(toy: Toy, study: list[Record]) -> None:
    (board,) = json.loads(as_json([toy.board(*study)]))
    assert (board["benchmark"], board["rank_by"]) == ("toy@2", "accuracy.upright")
    exact = next(row for row in board["rows"] if row["entry"] == "p4cnn@28")
    assert (exact["group"], exact["equivariance"]) == ("p4", "exact")
    expected = summary([0.94, 0.943, 0.946])
    assert expected.ci95 is not None
    assert exact["metrics"]["accuracy.rot90"] == {
        "n": 3,
        "mean": expected.mean,
        "std": expected.std,
        "ci95": list(expected.ci95),
    }
    names = ["upright", "rot90", "rot180", "rot270", "seen", "unseen", "orbit", "curve_mean"]
    assert list(exact["metrics"]) == [*(f"accuracy.{name}" for name in names), "auc", "invariance_error", "flips"]
    assert exact["metrics"]["auc"] is None
    assert board["pairs"][0]["metrics"]["accuracy.upright"]["n"] == [3, 3]


def test_one_seed_has_null_spread_never_zero(toy: Toy) -> None:
    (board,) = json.loads(as_json([toy.board(toy.record(seed=1, upright=0.9))]))
    row = next(row for row in board["rows"] if row["entry"] == "p4cnn@28")
    assert row["metrics"]["accuracy.upright"] == {"n": 1, "mean": 0.9, "std": None, "ci95": None}
    assert row["missing"] == [{"seed": 0, "why": "not run"}, {"seed": 2, "why": "not run"}]
    assert row["rank"] is None
    assert next(row for row in board["rows"] if row["entry"] == "z2cnn@28")["metrics"] == {}


def test_csv_reads_back(toy: Toy, study: list[Record]) -> None:
    board = toy.board(*study, toy.failure("p4cnn@29", 0, "x, y"))
    rows = parsed(as_csv([board]))
    assert [row["entry"] for row in rows] == [row.entry for row in board.rows]
    upright = board.rows[0].metrics["accuracy.upright"]
    assert upright is not None
    assert float(rows[0]["accuracy.upright"]) == upright.mean
    assert float(rows[0]["accuracy.upright.std"]) == upright.std
    assert rows[0]["auc"] == ""
    pairs = parsed(pairs_as_csv([board]))
    assert len(pairs) == 8
    assert float(pairs[0]["p_holm"]) == board.pairs[0].contrasts[0].p_holm


def test_csv_gives_no_time_over_two_machines(toy: Toy) -> None:
    runs = [toy.record(seed=seed, device_name=f"machine {seed}") for seed in range(2)]
    row = next(row for row in parsed(as_csv([toy.board(*runs)])) if row["entry"] == "p4cnn@28")
    assert row["test_images_per_second"] == ""
    assert row["devices"] == "cpu: machine 0, 1 threads; cpu: machine 1, 1 threads"


def test_results_are_read_by_place_and_what_is_out_of_place_is_named(toy: Toy, tmp_path: Path) -> None:
    toy.write(tmp_path, toy.record(seed=0))
    toy.write(tmp_path, toy.record(seed=0), "seed-0.repeat-1.json")
    toy.write(tmp_path, toy.record(seed=0), "seed-0.stale-1a2b3c4d.json")
    toy.write(tmp_path, toy.record(seed=0, official=False, unofficial_because="limited"), "seed-0.unofficial.json")
    toy.write(tmp_path, toy.failure("p4cnn@28", 1, "diverged"))
    toy.write(tmp_path, toy.record(seed=2), "seed-3.json")
    swapped = toy.write(tmp_path, toy.record("p4cnn@27", 4))
    swapped.replace(swapped.parent.with_name("p4cnn@28") / "seed-4.json")
    toy.write(tmp_path, toy.record(seed=5), "seed-best.json")
    half = toy.write(tmp_path, toy.record(seed=6))
    half.write_text(half.read_text(encoding="utf-8")[:100], encoding="utf-8")
    found = read_results(tmp_path, {"toy@2": toy.card()})
    assert [(run.seed, run.kind) for run in found.runs] == [(0, "seed"), (0, "repeat"), (0, "stale"), (0, "unofficial")]
    assert [failure.reason for failure in found.failures] == ["diverged"]
    told = "\n".join(found.findings)
    assert "toy@2/p4cnn@28/seed-3.json: says that it is toy@2 p4cnn@28 seed 2" in told
    assert "toy@2/p4cnn@28/seed-4.json: says that it is toy@2 p4cnn@27 seed 4" in told
    assert "toy@2/p4cnn@28/seed-6.json: no record: EOF while parsing" in told
    assert "toy@2/p4cnn@28/seed-best.json: no place of a record" in told
    assert read_results(tmp_path / "nowhere", {}) == Results()


def test_metrics_come_from_the_counts_not_from_the_file(toy: Toy, tmp_path: Path) -> None:
    protocol = toy.protocol("p4cnn@28")
    protocol["evaluation"]["auc"] = True
    toy.write(tmp_path, toy.record(upright=0.9, auc=0.9, spec=protocol))
    (found,) = read_results(tmp_path, {"toy@2": toy.card()}).runs
    assert found.metrics["accuracy.upright"] == 0.9
    assert found.metrics["auc"] == 0.9
    toy.write(tmp_path, toy.record(upright=0.9, auc=0.9, spec=protocol, metrics={"accuracy.upright": 0.99, "auc": 0.8}))
    edited = read_results(tmp_path, {"toy@2": toy.card()})
    assert edited.runs == []
    assert "metrics.accuracy.upright is 0.99, but the counts give 0.9" in edited.findings[0]


def test_ten_thousand_records_render_in_two_seconds(toy: Toy) -> None:
    slugs = {f"net-{number}": toy.models["p4cnn"] for number in range(50)}
    entries = [f"{slug}@{size}" for slug in slugs for size in (27, 28)]
    card = toy.card(entries=entries, seeds=100)
    first = [run(toy.record(seed=seed, upright=0.8 + seed / 1000), "seed", card) for seed in range(100)]
    runs = [replace(found, entry=entry, digest=toy.digest(entry)) for entry in entries for found in first]
    expected = {(card.full_name, entry): toy.digest(entry) for entry in entries}
    start = time.process_time()
    (made,) = boards([card], slugs, Results(runs=runs), expected)
    for form in ("md", "csv", "json", "tex"):
        tables.render([made], form)
    assert time.process_time() - start < 2
    assert len(made.rows) == 100
    assert not made.rows[0].missing


@pytest.fixture
def kept(toy: Toy, tmp_path: Path) -> tuple[Registry, Path]:
    """A results directory with records of a made-up benchmark in a real registry."""
    card = toy.card(entries=["p4cnn@28", "z2cnn@28"])
    registry = toy.registry(card)
    for entry in card.entries:
        for seed in range(3):
            toy.write(tmp_path, toy.record(entry, seed, 0.9 + seed / 100, spec=spec(registry, card, entry)))
    return registry, tmp_path


def write_tables(registry: Registry, results: Path) -> list[Board]:
    made, _ = tables.leaderboard(registry, results)
    (results / tables.TABLES).mkdir()
    for board in made:
        for name, text in tables.table_files(board).items():
            (results / tables.TABLES / name).write_text(text, encoding="utf-8")
    return made


def test_the_leaderboard_of_a_directory(kept: tuple[Registry, Path]) -> None:
    (board,), findings = tables.leaderboard(*kept)
    assert [row.rank for row in board.rows] == [1, 2]
    assert findings == []


def test_kept_tables_are_fresh_until_a_record_or_a_cell_changes(kept: tuple[Registry, Path], toy: Toy) -> None:
    registry, results = kept
    write_tables(registry, results)
    assert tables.stale_tables(registry, results) == []
    table = results / tables.TABLES / "toy@2.md"
    table.write_text(table.read_text(encoding="utf-8").replace("91.00", "99.00"), encoding="utf-8")
    assert [finding.partition(":")[0] for finding in tables.stale_tables(registry, results)] == ["tables/toy@2.md"]
    (results / "toy@2/p4cnn@28/seed-1.json").unlink()
    assert len(tables.stale_tables(registry, results)) == 4, "all but the pairs, of which there are none"
    for path in results.glob("toy@2/*/*.json"):
        path.unlink()
    assert tables.stale_tables(registry, results)[0].endswith("no record from which it could be made; delete it")


def test_no_record_is_an_error_that_says_what_to_run(kept: tuple[Registry, Path], tmp_path: Path) -> None:
    registry, _ = kept
    with pytest.raises(UserError, match=r"no official record of this; make some: gcnnbench run quickstart"):
        tables.leaderboard(registry, tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"gcnnbench run toy"):
        tables.leaderboard(registry, tmp_path / "nowhere", ["toy@2"])
    with pytest.raises(UserError, match="did you mean toy"):
        tables.leaderboard(registry, tmp_path, ["tony"])
