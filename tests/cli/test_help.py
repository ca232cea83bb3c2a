"""The help of every verb, and what a shell offers for an unfinished word."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from gcnnbench.cli.app import VERBS, VERIFY, build_app

WORDS = [[name] for name, _ in VERBS] + [["verify", name] for name, _ in VERIFY] + [[], ["verify"]]


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_help_fits_the_terminal_and_shows_no_python(words: list[str], columns: int) -> None:
    result = CliRunner().invoke(build_app(), [*words, "--help"], env={"COLUMNS": str(columns), "NO_COLOR": "1"})
    assert result.exit_code == 0
    for riddle in ("(dynamic)", "<class", "<function", "<lambda"):
        assert riddle not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= columns


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("gcnnbench leaderb", ["leaderboard"]),
        ("gcnnbench run quick", ["quickstart"]),
        ("gcnnbench status pcam-v", ["pcam-veeling", "pcam-veeling-turned"]),
        ("gcnnbench run quickstart --entry p4cnn@1", ["p4cnn@11", "p4cnn@12", "p4cnn@13", "p4cnn@15", "p4cnn@16"]),
    ],
)
def test_a_shell_is_offered_verbs_and_names(line: str, offered: list[str]) -> None:
    words = line.split()
    environment = os.environ | {
        "_GCNNBENCH_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "gcnnbench"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == offered, done.stderr
