"""Long verbs say at once that they are at work, to who looks on; what a plan would take is said as a range."""

from __future__ import annotations

import re
import shutil
import sys
import time
from pathlib import Path

import pytest
import torch

from gcnnbench.cli import at_work, main
from gcnnbench.cli.forecast import duration_range
from gcnnbench.cli.progress import steps
from gcnnbench.errors import UserError
from gcnnbench.runs.estimate import Estimate


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
    assert re.search(r"1 of 1 cell to run on cpu with 1 thread each: \S+( s)?–\d+", " ".join(told.split()))
    assert max(map(len, told.splitlines())) <= 100


def test_a_dry_run_says_that_seeds_at_once_were_not_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    estimates = [Estimate(60.0, 6.0, 1000, 1000)]
    monkeypatch.setattr("gcnnbench.runs.estimate.forecast", lambda _: estimates)
    words = ("run", "quickstart", "--entry", "p4cnn@12", "--results", str(tmp_path), "--dry-run", "--device", "cpu")

    def said(*more: str) -> str:
        assert ended(*words, "--jobs", "1", *more) == 0
        return " ".join(capsys.readouterr().out.split())

    assert "1 at a time, each up to 3 seeds of an entry at once here; " in said("--parallel", "3")
    assert "1 at a time, each as many seeds as fit in memory of an entry at once here" in said("--parallel", "auto")
    told = "Times are of seeds one by one; several at once, which pays on a GPU only, were not measured."
    assert told in said("--parallel", "3")
    assert "at once" not in said()


def test_a_dry_run_ends_with_3_where_a_network_cannot_be_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the run would; the other networks are told all the same."""
    found = [UserError("RuntimeError: too small"), Estimate(60.0, 6.0, 1000, 1000)]
    monkeypatch.setattr("gcnnbench.runs.estimate.forecast", lambda _: found)
    entries = ("--entry", "p4cnn@12", "--entry", "z2cnn@12")
    assert ended("run", "quickstart", *entries, "--results", str(tmp_path), "--dry-run", "--device", "cpu") == 3
    told = " ".join(capsys.readouterr().out.split())
    assert "quickstart@1 p4cnn@12 cannot be run: RuntimeError: too small" in told
    assert re.search(r"\| z2cnn@12 \| +3 \| +30 s–2 min \|", told), told


def test_a_dry_run_for_a_device_that_only_the_engine_has_says_what_is_not_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on the head of a cluster: cells and bytes are told, and of the time that it cannot be measured here."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = ("run", "quickstart", "--entry", "p4cnn@12", "--results", str(tmp_path), "--dry-run", "--device", "cuda")
    assert ended(*words, "--on", "ray") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert re.search(r"\| quickstart@1 \| p4cnn@12 \| +3 \|( +– \|){3}", told), told
    assert "to run on cuda with 1 thread each: time unknown, as many at a time as the engine has room for; " in told
    assert re.search(r"; 0\.[1-9] MB of records and small weights", told)
    assert "This machine has no cuda: the same command tells the time on one that has." in told
    assert ended(*words) == 2
    assert "device cuda is not available here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "within", "told"),
    [(10, 2, "5–20 s"), (60, 2, "30 s–2 min"), (7200, 2, "60 min–4.0 h"), (0.1, 2, "0 s"), (300, 4, "75 s–20 min")],
)
def test_a_range_names_its_units(seconds: float, within: float, told: str) -> None:
    assert duration_range(seconds, within) == told


@pytest.mark.parametrize("verb", ["verify records", "leaderboard --write", "site"])
def test_a_long_verb_shows_how_far_it_is(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bar over the records or the boards, on a terminal and there alone."""
    place = "quickstart@1/z2cnn@12"
    shutil.copytree(Path(__file__).parents[2] / "results" / place, tmp_path / "results" / place)
    words = [*verb.split(), "--results", str(tmp_path / "results")]
    words += ["--out", str(tmp_path / "site")] if verb == "site" else []
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert ended(*words) == 0
    step = f"{place}/seed-0.json" if verb == "verify records" else "quickstart@1"
    assert step in capsys.readouterr().err
    assert step not in _piped(words, capsys, monkeypatch)


def _piped(words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("FORCE_COLOR")
    assert ended(*words) == 0
    return capsys.readouterr().err


def test_an_interrupted_run_says_what_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gcnnbench.runs.local.execute", interrupted)
    words = ("run", "quickstart", "--entry", "p4cnn@12", "--seeds", "0", "--device", "cpu", "--results", str(tmp_path))
    assert ended(*words) == 130
    kept = f"finished cells and the last states of the others are kept in {tmp_path}; the same command goes on"
    assert capsys.readouterr().err.splitlines() == [kept, "interrupted"]


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
