"""A place that cannot be written is noticed before the work for it is done, by every verb that writes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.cli.app import main
from gcnnbench.determinism.audit import Audit
from gcnnbench.perf.report import Report

WORK = {
    "figures": "gcnnbench.figures.gallery._drawing",
    "doctor": "gcnnbench.determinism.audit.audit_machine",
    "tables": "gcnnbench.leaderboard.tables.leaderboard",
    "verify": "gcnnbench.submissions.verifying.verify_bundle",
}


def refused(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    """What is told by a command that ends with 2, in one line."""
    with pytest.raises(SystemExit) as ending:
        main(words)
    assert ending.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


@pytest.mark.parametrize(
    "words",
    [
        "site --out {file}/site",
        "list --write {file}/page.md",
        "perf training --save {file}/report.json",
        "audit p4cnn@12 --passport {file}/p.json",
        "audit p4cnn@12 --badge {file}/b.svg",
        "audit p4cnn@12 --figure {file}/stem",
        "audit --zoo --write {file}/zoo.md",
        "validate --junit {file}/j.xml",
        "verify records --junit {file}/j.xml",
        "verify claims --junit {file}/j.xml",
        "verify bundle nosuch --junit {file}/j.xml",
        "submit nosuch --output {file}/my.bundle",
    ],
)
def test_a_place_named_by_an_option_is_tried_before_anything_else(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> None:
        raise AssertionError("the registry was read")

    monkeypatch.setattr(Registry, "load", read)
    file = tmp_path / "file"
    file.write_bytes(b"")
    told = refused(capsys, [word.format(file=file) for word in words.split()])
    assert told == f"{file}: it is no directory, and one is needed in its place; name another place"


@pytest.mark.parametrize(
    ("words", "work"),
    [
        ("figure curve --benchmark quickstart --output {file}/figures", "figures"),
        ("doctor --device cpu --results {file}/results", "doctor"),
        ("leaderboard --write --results {file}/results", "tables"),
        ("submit {mine} --accept --models {file}/models --results {there}", "verify"),
        ("submit {mine} --accept --models {there} --results {file}/results", "verify"),
    ],
)
def test_a_place_that_a_verb_writes_in_is_tried_before_its_work(
    words: str, work: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def done(*_: object, **__: object) -> None:
        raise AssertionError(f"{WORK[work]} was called")

    monkeypatch.setattr(WORK[work], done)
    file = tmp_path / "file"
    file.write_bytes(b"")
    places = {"file": file, "there": tmp_path, "mine": tmp_path / "mine"}
    told = refused(capsys, [word.format(**places) for word in words.split()])
    assert told == f"{file}: it is no directory, and one is needed in its place; name another place"
    assert list(tmp_path.iterdir()) == [file]


AUDITED = Audit(
    schema_version=1, at="now", device="cpu", device_name="some", versions={}, flags={}, entries=(), problems=()
)
MEASURED = Report(
    commit=None,
    dirty=None,
    device="cpu",
    device_name="some",
    threads=1,
    versions={},
    platform="some",
    started="2026-11-23T12:52:10+00:00",
    seconds=0.0,
    peak=None,
    comparisons=(),
    targets=(),
)


@pytest.mark.parametrize(
    ("words", "verb", "work", "found"),
    [
        ("perf training --save {results}/report.json", "perf", "gcnnbench.perf.suite.measure", MEASURED),
        (
            "doctor --format json --device cpu --results {results}",
            "doctor",
            "gcnnbench.determinism.audit.audit_machine",
            AUDITED,
        ),
    ],
)
def test_what_was_measured_is_kept_where_nobody_reads_it_and_printed_where_it_cannot_be_kept(
    words: str,
    verb: str,
    work: str,
    found: Audit | Report,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "there")

    monkeypatch.setattr(work, lambda *_, **__: found)
    call = words.format(results=tmp_path).split()
    with monkeypatch.context() as unread:
        unread.setattr(f"gcnnbench.cli.{verb}_verb.tell", failing)
        refused(capsys, call)
    (kept,) = (path for path in tmp_path.rglob("*.json") if path.is_file())
    before = kept.read_bytes()
    monkeypatch.setattr("gcnnbench.disk.write_whole", failing)
    monkeypatch.setattr("gcnnbench.runs.store.write_whole", failing)
    with pytest.raises(SystemExit) as ending:
        main(call)
    assert ending.value.code == 2
    assert "some" in capsys.readouterr().out
    assert kept.read_bytes() == before
