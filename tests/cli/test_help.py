"""The help of every verb, and what a shell offers for an unfinished word."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import get_type_hints

import pytest
from typer.models import OptionInfo

from gcnnbench.cli.app import VERBS, VERIFY, main
from gcnnbench.cli.lazy_group import function_at

WORDS = [[name] for name in VERBS] + [["verify", name] for name in VERIFY] + [[], ["verify"]]


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


def test_the_list_of_verbs_cuts_no_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["--help"])
    told = " ".join(capsys.readouterr().out.partition("Commands:")[2].split())
    assert "..." not in told
    assert "list List the models, data sets and benchmarks of the registry. show Show one card" in told


@pytest.mark.parametrize(("words", "several"), [("run", "BENCHMARK..."), ("perf", "[SECTION]..."), ("list", "[KIND]")])
def test_usage_says_what_may_be_left_out_and_what_repeated(
    words: str, several: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([words, "--help"])
    assert capsys.readouterr().out.splitlines()[0] == f"Usage: gcnnbench {words} [OPTIONS] {several}"


def test_no_option_takes_its_name_from_the_word_for_its_value() -> None:
    # typer 0.27 calls an option --SECONDS whose value is SECONDS and whose own name is not declared
    options = [
        (verb, name, option)
        for verb, place in [*VERBS.items(), *VERIFY.items()]
        for name, hint in get_type_hints(function_at(place), include_extras=True).items()
        for option in getattr(hint, "__metadata__", ())
        if isinstance(option, OptionInfo)
    ]
    assert len(options) > 100
    # in an annotation the first name lies where a default would
    undeclared = [(verb, name, option.metavar or "") for verb, name, option in options if option.default is ...]
    assert [(verb, name) for verb, name, word in undeclared if word.lower().replace("-", "_") == name] == []


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("gcnnbench leaderb", ["leaderboard"]),
        ("gcnnbench run quick", ["quickstart", "quickstart-shifts"]),
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
