"""`leaderboard`, `compare` and `verify` on the command line: what they print, and what they end with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gcnnbench.errors import UserError
from gcnnbench.leaderboard.notes import SINGLE
from tests.command_line import called


def test_without_a_record_the_leaderboard_is_a_message(tmp_path: Path) -> None:
    result = called("leaderboard", "quickstart", "--results", tmp_path, "--format", "json")
    assert isinstance(result.exception, UserError)
    assert f"make some: gcnnbench run --results {tmp_path} quickstart" in str(result.exception)
    assert result.stdout == ""


def test_claims_are_one_json_document_and_nothing_else(tmp_path: Path) -> None:
    result = called("verify", "claims", "--paper", "edixhoven2023", "--results", tmp_path, "--format", "json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert sum(document["summary"].values()) == len(document["rows"])
    assert {row["source"] for row in document["rows"]} == {"edixhoven2023"}


def test_claims_can_be_chosen_by_benchmark(tmp_path: Path) -> None:
    result = called("verify", "claims", "--benchmark", "mnist-uniform@1", "--results", tmp_path, "--format", "json")
    assert {row["benchmark"] for row in json.loads(result.stdout)["rows"]} == {"mnist-uniform"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["verify", "claims", "--paper", "nobody2020"],
            "there are no claims of 'nobody2020'; there are those of cohen2016",
        ),
        (["verify", "claims", "--benchmark", "quickstart"], "there are no claims about quickstart"),
        (["compare", "p4cnn@16", "z2cnn@16"], "write BENCHMARK/SLUG@SIZE"),
    ],
)
def test_wrong_usage_is_said(arguments: list[str], told: str, tmp_path: Path) -> None:
    result = called(*arguments, "--results", tmp_path)
    assert isinstance(result.exception, UserError)
    assert told in str(result.exception)


def test_no_record_to_verify_is_a_failure(tmp_path: Path) -> None:
    result = called("verify", "records", "--results", tmp_path)
    assert result.exit_code == 1
    assert "nothing checked is nothing right" in result.stderr


def test_what_is_no_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "quickstart@1" / "p4cnn@16" / "seed-0.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}", "utf-8")
    result = called("verify", "records", "--results", tmp_path, "--format", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["summary"] == {"refused": 1}


RECORDS = Path(__file__).parents[2] / "results"


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    """A results directory with one committed record and its weights, made on another machine."""
    folder = tmp_path / "quickstart@1" / "p4cnn@12"
    folder.mkdir(parents=True)
    for suffix in (".json", ".safetensors"):
        shutil.copy(RECORDS / "quickstart@1" / "p4cnn@12" / f"seed-0{suffix}", folder)
    return tmp_path


def test_a_committed_record_is_scored_again(committed: Path) -> None:
    words = ("verify", "records", "--rescore", "elements", "--format", "json", "--results", committed)
    result = called(*words)
    (row,) = json.loads(result.stdout)["rows"]
    assert (result.exit_code, row["verdict"], row["findings"]) == (0, "re-scored", [])
    assert row["notes"] == ["1 of 3 seeds: seeds 1–2 not run yet"]
    assert row["checked"][-1].startswith("upright, rot90, rot180, rot270: 400 images")
    assert row["unchecked"] == ["7 angles of the curve"]


def test_only_chosen_records_are_shown(committed: Path) -> None:
    one = ("verify", "records", "--rescore", "none", "--results", committed)
    shown = called(*one, "--benchmark", "quickstart@1", "--entry", "p4cnn@12", "--seeds", "0")
    assert "1 recomputed." in shown.stdout
    assert "--rescore upright scores them again from their weights\n" in shown.stderr, "its digits need no --data"
    for words in (("--entry", "p4cnn@13"), ("--seeds", "1"), ("--benchmark", "mnist-upright")):
        result = called(*one, *words)
        assert result.exit_code == 1
        assert "nothing checked is nothing right" in result.stderr


def test_a_board_whose_pairs_have_one_seed_says_so(committed: Path) -> None:
    """Beside the table, and not in it: what is kept is the same bytes."""
    place = committed / "quickstart@1" / "p4cnn@11"
    place.mkdir()
    for suffix in (".json", ".safetensors"):
        shutil.copy(RECORDS / "quickstart@1" / "p4cnn@11" / f"seed-0{suffix}", place)
    board = called("leaderboard", "quickstart", "--results", committed)
    assert f"quickstart@1: {SINGLE}: p4cnn@12 − p4cnn@11.\n" in board.stderr
    assert SINGLE not in board.stdout
    two = called("compare", "quickstart/p4cnn@12", "quickstart/p4cnn@11", "--results", committed)
    assert f"- {SINGLE}\n" in two.stdout


def test_asking_for_what_cannot_be_done_is_a_failure(committed: Path) -> None:
    result = called("verify", "records", "--retrain", "7", "--results", committed)
    assert result.exit_code == 1
    assert "no record could be run again" in result.stderr
