"""What verbs print is as wide as the terminal, whole where it is piped, and without colour where that is asked for."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from gcnnbench.cli.app import main
from gcnnbench.cli.fitting import fit_table
from gcnnbench.cli.output import fitted
from gcnnbench.figures.gallery import FIGURES
from gcnnbench.layout import folded, joined

VERBS = (
    ("list",),
    ("show", "quickstart"),
    ("show", "p4cnn@28"),
    ("status", "quickstart"),
    ("leaderboard", "quickstart"),
    ("explain", "quickstart", "p4cnn@12"),
    ("compare", "quickstart/p4cnn@12", "quickstart/z2cnn@12"),
    ("verify", "claims", "--paper", "edixhoven2023"),
    ("audit", "p4cnn@12"),
    ("figure",),
)


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ending:
        main(words)
    assert ending.value.code in (0, 1)
    return capsys.readouterr().out


def too_wide(text: str, columns: int) -> list[str]:
    """Lines that are wider and could be folded; a path, a digest, an address or a command stays in one piece."""
    return [line for line in text.splitlines() if len(line) > columns and len(joined(line).split()) > 1]


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_every_verb_fits_a_terminal_of_60_columns(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert too_wide(printed(capsys, *words), 60) == []


def test_a_table_follows_the_terminal_and_loses_no_number(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    piped = printed(capsys, "leaderboard", "quickstart", "--wide")
    numbers = set(re.findall(r"\d+\.\d\d ± \d+\.\d\d", piped))
    assert len(numbers) > 20
    for columns in (60, 80, 200):
        shown = fitted(piped, columns)
        assert too_wide(shown, columns) == []
        assert all(number in shown for number in numbers)
    monkeypatch.setenv("COLUMNS", "80")
    assert printed(capsys, "leaderboard", "quickstart", "--wide") == fitted(piped, 80)


def test_what_is_piped_is_one_table_of_markdown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    table = [line for line in printed(capsys, "status", "quickstart").splitlines() if line.startswith("|")]
    assert len(table) == 9
    assert len({line.count("|") for line in table}) == 1


def test_forms_for_programs_are_never_fitted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, printed(capsys, "leaderboard", "quickstart", "--format", "csv").splitlines())) > 200
    assert len(printed(capsys, "figure", "--format", "json").splitlines()) == len(FIGURES) + 2


@pytest.mark.parametrize("words", [["leaderboard", "quickstart"], ["leaderboard", "--help"]], ids=" ".join)
def test_a_terminal_without_colour_gets_none_and_its_own_width(words: list[str]) -> None:
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment |= {"NO_COLOR": "1", "TERM": "xterm-256color", "OMP_NUM_THREADS": "1"}
    size = "import fcntl,struct,sys,termios;fcntl.ioctl(1,termios.TIOCSWINSZ,struct.pack('HHHH',40,70,0,0));"
    code = f"{size}from gcnnbench.cli.app import main;main({words!r})"
    with subprocess.Popen([sys.executable, "-c", code], stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        told = b""
        while chunk := _read(ours):
            told += chunk
    os.close(ours)
    text = told.decode()
    assert process.returncode == 0
    assert "\x1b" not in text
    assert too_wide(text.replace("\r\n", "\n"), 70) == []
    assert max(map(len, text.splitlines())) > 60


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # its other side was closed
        return b""


def test_a_table_that_cannot_be_folded_goes_on_below_behind_its_key() -> None:
    lines = [
        "| # | entry | upright | unseen | orbit | curve | n |",
        "| :- | :--- | ---: | ---: | ---: | ---: | ---: |",
        "| 1 | p4cnn@12 | 93.67±0.95 | 1.00±2.00 | 3 | 4 | 5 |",
        "| 1 | p4cnn@11 | 83.67±0.95 | 2.00±2.00 | 3 | 4 | 5 |",
    ]
    assert fit_table(lines, 34).splitlines() == [
        "| #  | entry    |    upright |",
        "| :- | :------- | ---------: |",
        "| 1  | p4cnn@12 | 93.67±0.95 |",
        "| 1  | p4cnn@11 | 83.67±0.95 |",
        "",
        "| #  | entry    |    unseen |",
        "| :- | :------- | --------: |",
        "| 1  | p4cnn@12 | 1.00±2.00 |",
        "| 1  | p4cnn@11 | 2.00±2.00 |",
        "",
        "| #  | entry    | orbit | curve |",
        "| :- | :------- | ----: | ----: |",
        "| 1  | p4cnn@12 |     3 |     4 |",
        "| 1  | p4cnn@11 |     3 |     4 |",
        "",
        "| #  | entry    |  n |",
        "| :- | :------- | -: |",
        "| 1  | p4cnn@12 |  5 |",
        "| 1  | p4cnn@11 |  5 |",
    ]


RUN = "gcnnbench run mnist-upright --results 'my own; results' --entry p4cnn@27 --entry p4cnn@29 --seeds 0-15"


@pytest.mark.parametrize("text", [f"27. more seeds are needed: {RUN}", f"Made by: {RUN}; then the rest of it is known"])
def test_a_command_is_never_folded(text: str) -> None:
    for shown in (folded(text, indent="    "), *(fitted(text, columns) for columns in (20, 60, 80, 100, 120))):
        assert sum(RUN in line for line in shown.splitlines()) == 1


def test_verbs_print_commands_on_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    said = printed(capsys, "show", "p4cnn@40").splitlines()
    assert any(line.endswith("gcnnbench audit p4cnn@40") for line in said)
    said = printed(capsys, "verify", "claims", "--benchmark", "mnist-upright", "--results", "nowhere").splitlines()
    commands = [line for line in said if "gcnnbench run" in line]
    assert commands
    assert all("--entry" in line for line in commands)


def test_folded_paragraphs_are_folded_again_as_one() -> None:
    text = "- " + "word " * 19 + "end\n  behind it stands the rest"
    assert fitted(text, 60).splitlines() == [
        "- " + " ".join(["word"] * 11),
        "  " + " ".join(["word"] * 8) + " end behind it",
        "  stands the rest",
    ]
    assert fitted("one\ntwo", 60) == "one\ntwo"
