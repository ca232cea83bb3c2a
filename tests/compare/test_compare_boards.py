"""Two states of a leaderboard: what is new, gone and moved, and the reason for each."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from gcnnbench.cli.app import build_app
from gcnnbench.compare.boards import Move, StateComparison, compare_files, compare_revision
from gcnnbench.compare.text import states_as_markdown
from gcnnbench.errors import UserError
from gcnnbench.leaderboard.board import Board
from gcnnbench.leaderboard.export import as_json
from gcnnbench.strict_json import json_document

if TYPE_CHECKING:
    from gcnnbench.runs.record import Record
    from tests.toy_records import Toy


def compared(tmp_path: Path, before: Board | list[Board], after: Board | list[Board]) -> StateComparison:
    paths = (tmp_path / "before.json", tmp_path / "after.json")
    for path, state in zip(paths, (before, after), strict=True):
        path.write_text(as_json(state if isinstance(state, list) else [state]), encoding="utf-8")
    return compare_files(*paths)


def move(found: StateComparison, entry: str) -> Move:
    return next(made for made in found.moves if made.entry == entry)


def signed(board: Board, **records: tuple[str, ...]) -> Board:
    """The board with the sha256 of its records, which those of tests have none of."""
    signatures = {entry.replace("_", "@"): found for entry, found in records.items()}
    rows = [replace(row, records=signatures.get(row.entry, row.records)) for row in board.rows]
    return replace(board, rows=tuple(rows))


def test_nothing_moves_between_a_state_and_itself(toy: Toy, study: list[Record], tmp_path: Path) -> None:
    board = toy.board(*study)
    found = compared(tmp_path, board, board)
    assert {made.what for made in found.moves} == {"same"}
    assert "4 rows are what they were." in states_as_markdown(found)


def test_a_new_seed_moves_its_row_and_those_below(toy: Toy, study: list[Record], tmp_path: Path) -> None:
    """z2cnn leads p4cnn@28; the third seed of p4cnn@28 makes its row complete, so it is ranked."""
    before = toy.board(*[one for one in study if (one.entry, one.seed) != ("p4cnn@27", 2)])
    found = compared(tmp_path, before, toy.board(*study))
    moved = move(found, "p4cnn@27")
    assert (moved.what, moved.ranks, moved.why) == ("moved", (None, 2), ("new seed 2",))
    assert list(moved.means) == pytest.approx([0.971, 0.972])
    assert move(found, "p4cnn@29").what == "same"
    below = move(found, "z2cnn@28")
    assert (below.ranks, below.why) == ((2, 3), ("other rows moved",))
    text = states_as_markdown(found)
    assert "| p4cnn@27 | moved | – → 2 |" in text
    assert "- z2cnn@28: other rows moved." in text
    assert json.loads(json_document(found))["moves"][0]["what"] == "same"


def test_rows_that_are_new_or_gone(toy: Toy, study: list[Record], tmp_path: Path) -> None:
    without = toy.board(*[one for one in study if one.entry != "p4cnn@29"])
    shorter = toy.board(
        *[one for one in study if one.entry != "p4cnn@29"], entries=["z2cnn@28", "p4cnn@28", "p4cnn@27"]
    )
    full = toy.board(*study)
    assert move(compared(tmp_path, without, full), "p4cnn@29").why == ("new seeds 0–2",)
    assert move(compared(tmp_path, without, full), "p4cnn@29").what == "new"
    assert move(compared(tmp_path, shorter, full), "p4cnn@29").why == ("no such row before",)
    gone = move(compared(tmp_path, full, shorter), "p4cnn@29")
    assert (gone.what, gone.ranks, gone.why) == ("gone", (1, None), ("no such row any more",))
    emptied = move(compared(tmp_path, full, without), "p4cnn@29")
    assert (emptied.what, emptied.why) == ("gone", ("seeds 0–2 gone",))


def test_records_made_anew_are_told_by_their_sha256(toy: Toy, study: list[Record], tmp_path: Path) -> None:
    board = toy.board(*study)
    before = signed(board, **{"p4cnn_28": ("a", "b", "c"), "z2cnn_28": ("a", "b", "c")})
    other = [toy.record("p4cnn@28", 1, 0.95, 0.95) if (r.entry, r.seed) == ("p4cnn@28", 1) else r for r in study]
    after = signed(toy.board(*other), **{"p4cnn_28": ("a", "x", "c"), "z2cnn_28": ("a", "b", "y")})
    found = compared(tmp_path, before, after)
    assert (move(found, "p4cnn@28").what, move(found, "p4cnn@28").why) == ("moved", ("other records of seed 1",))
    again = move(found, "z2cnn@28")
    assert (again.what, again.why) == ("changed", ("other records of seed 2, the same numbers",))


def test_a_state_older_than_the_records_of_rows(toy: Toy, study: list[Record], tmp_path: Path) -> None:
    board = toy.board(*study)
    other = toy.board(*[toy.record("p4cnn@28", one.seed, 0.95) if one.entry == "p4cnn@28" else one for one in study])
    compared(tmp_path, board, other)
    plain = json.loads((tmp_path / "before.json").read_text("utf-8"))
    for row in plain[0]["rows"]:
        del row["records"], row["spec_digest"]
    (tmp_path / "before.json").write_text(json.dumps(plain))
    found = compare_files(tmp_path / "before.json", tmp_path / "after.json")
    assert "other numbers of seeds 0–2; the earlier state does not name its records" in move(found, "p4cnn@28").why


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"spec_digest": "b" * 64}, "another protocol: digest bd5456be became bbbbbbbb"),
        ({"equivariance": "unknown"}, "exact became unknown"),
        ({"test_images": 400}, "tested on 400 images, no longer on 1,000"),
    ],
)
def test_why_a_row_is_not_what_it_was(
    toy: Toy, study: list[Record], tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    board = toy.board(*study)
    rows = [replace(row, **change) if row.entry == "p4cnn@28" else row for row in board.rows]
    assert told in move(compared(tmp_path, board, replace(board, rows=tuple(rows))), "p4cnn@28").why


def test_another_version_or_another_ranking_is_said_of_the_benchmark(
    toy: Toy, study: list[Record], tmp_path: Path
) -> None:
    board = toy.board(*study)
    newer = compared(tmp_path, board, replace(board, benchmark="toy@3"))
    assert newer.notes == ("toy@2 became toy@3: another protocol, so its numbers do not compare",)
    assert move(newer, "p4cnn@28").why == ("another version of the benchmark",)
    ranked = compared(tmp_path, board, replace(board, rank_by="accuracy.orbit"))
    assert ranked.notes == ("toy@2 is ranked by accuracy.orbit, no longer by accuracy.upright",)
    other = compared(tmp_path, board, replace(board, benchmark="game@1"))
    assert other.notes == ("game@1 is new", "toy@2 is gone")


def test_versions_of_a_benchmark_are_compared_each_with_itself(toy: Toy, study: list[Record], tmp_path: Path) -> None:
    """In whatever order: files of a revision come by name, `leaderboard` puts superseded versions last."""
    newer = toy.board(*study)
    older = replace(toy.board(*[one for one in study if one.seed < 2]), benchmark="toy@1")
    same = compared(tmp_path, [older, newer], [newer, older])
    assert (same.notes, {made.what for made in same.moves}) == ((), {"same"})
    assert [made.benchmark for made in same.moves] == ["toy@2"] * 4 + ["toy@1"] * 4
    signs = [("a" * 64,) * 3, ("b" * 64,) * 3]
    then, now = ([older, signed(newer, p4cnn_28=records)] for records in signs)
    changed = [made for made in compared(tmp_path, then, now).moves if made.what == "changed"]
    assert [(made.benchmark, made.entry) for made in changed] == [("toy@2", "p4cnn@28")]
    assert compared(tmp_path, [older], [newer, older]).notes == ("toy@2 is new",)
    assert compared(tmp_path, [older, newer], [newer]).notes == ("toy@1 is gone",)


LONE_RECORD = json.dumps(
    {
        **{"entry": "p4cnn@28", "rank": 1, "equivariance": "exact", "numeric_mode": None, "metrics": {}},
        **{"seeds": [0, 1], "records": ["a"]},
    }
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read"),
        ("[", "no leaderboard: EOF while parsing"),
        ('[{"rows": []}]', r"no leaderboard: 0.benchmark"),
        (f'[{{"benchmark": "b@1", "rank_by": "x", "rows": [{LONE_RECORD}]}}]', "2 seeds and 1 record"),
    ],
)
def test_files_that_hold_no_leaderboard(
    toy: Toy, study: list[Record], tmp_path: Path, text: str | None, told: str
) -> None:
    right, wrong = tmp_path / "right.json", tmp_path / "wrong.json"
    right.write_text(as_json([toy.board(*study)]), encoding="utf-8")
    if text is not None:
        wrong.write_text(text)
    with pytest.raises(UserError, match=told):
        compare_files(right, wrong)
    result = CliRunner().invoke(build_app(), ["compare", str(right), str(right)])
    assert "4 rows are what they were." in result.stdout


def git(folder: Path, *words: str) -> None:
    named = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *named, *words], check=True, capture_output=True)


def test_the_tables_kept_at_a_revision(toy: Toy, study: list[Record], tmp_path: Path) -> None:
    tables = tmp_path / "results" / "tables"
    with pytest.raises(UserError, match="is what leaderboard --write kept in it"):
        compare_revision(tmp_path / "results", "HEAD", [])
    tables.mkdir(parents=True)
    with pytest.raises(UserError, match=r"is in no git repository, so there is no revision HEAD of it"):
        compare_revision(tmp_path / "results", "HEAD", [])
    git(tmp_path, "init", "-q")
    before = toy.board(*[one for one in study if (one.entry, one.seed) != ("p4cnn@27", 2)])
    (tables / "toy@2.json").write_text(as_json([before]), encoding="utf-8")
    (tables / "other@1.json").write_text(as_json([replace(before, benchmark="other@1")]), encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "tables")
    (tables / "toy@2.json").unlink()
    whole = compare_revision(tmp_path / "results", "HEAD", [toy.board(*study)])
    assert whole.notes == ("other@1 is gone",)
    found = compare_revision(tmp_path / "results", "HEAD", [toy.board(*study)], whole=False)
    assert found.first == "tables/ at HEAD"
    assert {made.benchmark for made in found.moves} == {"toy@2"}
    assert move(found, "p4cnn@27").why == ("new seed 2",)
    with pytest.raises(UserError, match="there is no revision nowhere here"):
        compare_revision(tmp_path / "results", "nowhere", [toy.board(*study)])
