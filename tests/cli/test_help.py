"""The help of every verb, and what a shell offers for an unfinished word."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from gcnnbench.cli.app import VERBS, VERIFY, main

WORDS = [[name] for name, _ in VERBS] + [["verify", name] for name, _ in VERIFY] + [[], ["verify"]]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_help_fits_the_terminal_and_shows_no_python(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for columns in (60, 80, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit) as ending:
            main([*words, "--help"])
        told = capsys.readouterr().out
        assert ending.value.code == 0
        assert max(map(len, told.splitlines())) <= columns
        assert "(dynamic)" not in told
        assert "\x1b" not in told
        assert re.findall(r"<[^>]*>|--[\w-]+ (?:int|float|str|bool|path|list)\b", told) == []


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
