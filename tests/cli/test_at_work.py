"""Long verbs say at once that they are at work, to who looks on; what a plan would take is said as a range."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest

from gcnnbench.cli import at_work, main
from gcnnbench.cli.progress import duration_range, steps


def ended(*words: str) -> int:
    with pytest.raises(SystemExit) as ending:
        main(words)
    return int(ending.value.code or 0)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_long_verb_says_that_it_is_at_work(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The page is not begun before the line is there, however slow this machine is."""
    told: list[str] = []

    def slow(*_: object) -> str:
        deadline = time.monotonic() + (30 if terminal else 0.2)
        while "at work" not in "".join(told) and time.monotonic() < deadline:
            told.append(capsys.readouterr().err)
            time.sleep(0.01)
        return "<!doctype html>"

    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.setattr(at_work, "PATIENCE", 0.05)
    monkeypatch.setattr("gcnnbench.pages.site.site", slow)
    assert ended("site", "--out", str(tmp_path)) == 0
    assert ("gcnnbench site: at work\n" in "".join(told)) is terminal


def test_a_dry_run_tells_ranges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("run", "quickstart", "--entry", "p4cnn@12", "--seeds", "0", "--results", str(tmp_path), "--dry-run")
    assert ended(*words, "--data", str(tmp_path)) == 0
    told = capsys.readouterr().out
    assert re.search(r"\| quickstart@1 \| p4cnn@12 \| +1 \|( [^|]*\d+(\.\d)?( s)?–\d+(\.\d)? (s|min|h) \|){3}", told), (
        told
    )
    assert re.search(r"1 of 1 cells to run on cpu with 1 thread each: \S+( s)?–\d+", " ".join(told.split()))
    assert max(map(len, told.splitlines())) <= 100


@pytest.mark.parametrize(
    ("seconds", "within", "told"),
    [(10, 2, "5–20 s"), (60, 2, "30 s–2 min"), (7200, 2, "60 min–4.0 h"), (0.1, 2, "0 s"), (300, 4, "75 s–20 min")],
)
def test_a_range_names_its_units(seconds: float, within: float, told: str) -> None:
    assert duration_range(seconds, within) == told


def test_steps_are_told_where_somebody_looks_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(steps(["one", "two"], str)) == ["one", "two"]
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert list(steps(["one", "two"], str)) == ["one", "two"]
    out, err = capsys.readouterr()
    assert out == ""
    assert "one" in err
