"""Tables escape what records and failures say, and tell why a seed is missing."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from gcnnbench.leaderboard.export import as_csv
from gcnnbench.leaderboard.frame import boards
from gcnnbench.leaderboard.reading import read_results
from gcnnbench.leaderboard.text import as_latex, as_markdown

if TYPE_CHECKING:
    from gcnnbench.leaderboard.board import Board
    from tests.toy_records import Toy

HOSTILE = "<script>alert(1)</script> | ![x](http://example.org) \\input{x} =1+1"


def test_text_from_records_and_failures_is_no_markup_in_any_table(toy: Toy) -> None:
    board = toy.board(toy.record(device_name=HOSTILE), toy.failure("p4cnn@27", 0, f"={HOSTILE}"))
    text = as_markdown([board])
    assert "<script" not in text.replace("\\<script", "")
    assert "](" not in text.replace("]\\(", "")
    tables = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables if line.startswith("| p4cnn@2")} == {8}
    source = as_latex([board])
    live = [line for line in source.splitlines() if not line.startswith("%")]
    assert not any("\\input" in line for line in live)
    rows = list(csv.reader(io.StringIO(as_csv([board]))))
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row)


def read(toy: Toy, results: Path) -> Board:
    card = toy.card()
    expected = {(card.full_name, entry): toy.digest(entry) for entry in card.entries}
    return boards([card], toy.models, read_results(results, {card.full_name: card}), expected)[0]


def test_the_note_says_why_a_seed_is_missing(toy: Toy, tmp_path: Path) -> None:
    limited = toy.record("p4cnn@27", official=False, unofficial_because="limited to 10 images a share")
    toy.write(tmp_path, limited, "seed-0.unofficial.json")
    half = toy.write(tmp_path, toy.record("p4cnn@28"))
    half.write_text(half.read_text("utf-8")[:-100], "utf-8")
    tried = toy.failure("p4cnn@29", 1, "the loss is NaN").model_copy(update={"official": False})
    toy.write(tmp_path, tried, "seed-1.unofficial-failed.json")
    board = read(toy, tmp_path)
    text = as_markdown([board])
    shown = {row.entry: [lack.why for lack in row.missing] for row in board.rows}
    assert shown["p4cnn@27"] == ["limited: run with --limit only", "not run", "not run"]
    assert shown["p4cnn@29"] == ["not run", "limited: run with --limit only", "not run"]
    assert shown["p4cnn@28"][0].startswith("unusable record: no record: EOF while parsing")
    for entry, word in (("p4cnn@27", "limited"), ("p4cnn@28", "unusable"), ("z2cnn@28", "not run")):
        assert f" {word} " in next(line for line in text.splitlines() if f"| {entry}" in line)
