"""A user's mistake ends a command with 2 and one sentence, before any work; what stdout cannot encode ends none."""

from __future__ import annotations

import json
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from gcnnbench.cli.app import main
from gcnnbench.cli.audit_options import parse_arguments

ROOT = Path(__file__).parents[2]


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """What is told by a command that ends with 2, in one line."""
    with pytest.raises(SystemExit) as ending:
        main([str(word) for word in words])
    assert ending.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


@pytest.mark.parametrize("words", ["submit nosuch --output", "audit p4cnn@12 --figure"])
@pytest.mark.parametrize(("stem", "example"), [(".", "NAME"), ("..", "../NAME"), ("/", "/NAME")])
def test_a_folder_is_no_name(words: str, stem: str, example: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = refused(capsys, *words.split(), stem)
    assert told == f"{stem} is a folder: add the name of what is written in it, as in {example}"


def test_two_files_are_not_written_in_one_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = refused(capsys, "audit", "p4cnn@12", "--passport", tmp_path / "a.json", "--badge", "a.json")
    assert told == "--passport and --badge are both a.json: give each a file of its own"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["{[1]}", "{[]: 1}", "(" * 10_000, "-" * 100_000 + "1"])
def test_what_is_no_literal_of_python_is_text(value: str) -> None:
    assert parse_arguments([f"x={value}"]) == {"x": value}


def test_more_seeds_at_once_than_a_number_has_digits_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "write how many seeds are trained at once" in refused(capsys, "run", "quickstart", "--parallel", "9" * 5000)


def test_a_report_with_a_ratio_of_nothing_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads((ROOT / "docs/perf/amd-epyc-2-cores.json").read_text("utf-8"))
    document["comparisons"][0]["rows"][0]["time"]["value"] = 0.0
    (tmp_path / "zero.json").write_text(json.dumps(document), "utf-8")
    told = refused(capsys, "perf", "--compare", tmp_path / "zero.json", tmp_path / "zero.json")
    assert "zero.json: no report of gcnnbench perf: comparisons.0.rows.0.time.value: " in told


def printed(monkeypatch: pytest.MonkeyPatch, encoding: str, *words: str) -> bytes:
    """The bytes that a command prints on a stdout that takes what it can encode and nothing else."""
    taken = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(taken, encoding=encoding, errors="strict"))
    with pytest.raises(SystemExit) as ending:
        main(words)
    assert ending.value.code == 0
    sys.stdout.flush()
    return taken.getvalue()


def test_what_an_encoding_lacks_is_shown_by_an_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    told = printed(monkeypatch, "latin-1", "leaderboard", "quickstart")
    assert b"\\u2212" in told
    assert b"\xb1" in told


def test_a_name_of_any_bytes_can_be_printed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = printed(monkeypatch, "utf-8", "new", "mynet", "--output", f"{tmp_path}/b\udcffd")
    assert b"b\\udcffd/mynet: model.py" in told
