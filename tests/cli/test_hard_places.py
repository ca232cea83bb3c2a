"""Through the command line: folders that cannot be written, data sets without digests, try-outs, empty directories."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from gcnnbench import disk
from gcnnbench.cards.registry import Registry
from gcnnbench.cli.app import main
from gcnnbench.cli.progress import RunReport
from gcnnbench.data.copies import recorded_copy
from gcnnbench.leaderboard.tables import stale_tables
from gcnnbench.runs import outcomes
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.events import Event
from gcnnbench.runs.record import Failure, Record
from gcnnbench.runs.state import CellState
from gcnnbench.runs.store import Store
from gcnnbench.strict_json import parse_model
from gcnnbench.training.loop import DivergedError
from tests.command_line import called

ROOT = Path(__file__).parents[2]
TINY = Path(__file__).parents[1] / "runs" / "tiny.yaml"
RUN = ("run", "tiny", "--include", TINY, "--entry", "z2cnn@8", "--seeds", "0", "--device", "cpu", "--jobs", "1")


def ended(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    """The exit code of the whole command, and what it said on stderr."""
    with pytest.raises(SystemExit) as ending:
        main([str(argument) for argument in arguments])
    return int(ending.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_results_directory_that_cannot_be_written_is_one_line(
    jobs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    (results / ".work").write_text("a file in the place of a folder")
    words = ("run", "tiny", "--include", TINY, "--entry", "z2cnn@8", "--device", "cpu", "--jobs", jobs)
    code, said = ended(capsys, *words, "--results", results)
    assert code == 2
    assert "Traceback" not in said
    assert f"{results}/.work" in said.splitlines()[-1]
    assert "it is no directory, and one is needed in its place" in said.splitlines()[-1]


@pytest.mark.parametrize(
    "words",
    [
        ("new", "zz", "--kind", "torch", "--output"),
        ("run", "tiny", "--include", TINY, "--entry", "z2cnn@8", "--device", "cpu", "--jobs", "1", "--results"),
    ],
    ids=["new", "run"],
)
def test_a_place_that_takes_no_files_is_named(
    words: tuple[str | Path, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a file system that is read-only: whatever is made below it, the message names the directory."""
    made = os.mkdir

    def read_only(path: str | Path, *arguments: object, **named: object) -> None:
        if str(path).startswith(str(tmp_path)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        made(path, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "mkdir", read_only)
    code, said = ended(capsys, *words, tmp_path)
    assert code == 2
    what = "nothing can be written in this directory (Read-only file system); name another place"
    assert said.splitlines()[-1] == f"{tmp_path}: {what}"


def test_an_error_of_the_file_system_is_a_users_error_for_every_verb(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(contents: dict[Path, bytes], *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(next(iter(contents))))

    shutil.copytree(ROOT / "results" / "quickstart@1", tmp_path / "quickstart@1")
    monkeypatch.setattr("gcnnbench.runs.store.whole_files", read_only)
    code, said = ended(capsys, "leaderboard", "quickstart", "--write", "--results", tmp_path)
    assert code == 2
    assert said.strip().endswith(": Read-only file system")
    assert len(said.strip().splitlines()) == 1


def test_a_board_without_a_record_is_shown_and_not_kept(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "results" / "quickstart@1", tmp_path / "quickstart@1")
    shown = called("leaderboard", "quickstart", "rotmnist", "--write", "--results", tmp_path)
    assert "## rotmnist@1" in shown.stdout
    assert {path.name.partition("@")[0] for path in (tmp_path / "tables").iterdir()} == {"quickstart"}
    assert not stale_tables(Registry.load(), tmp_path)


def test_a_call_that_runs_the_last_cell_does_not_wait_for_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of its workers is idle while another one runs it."""
    monkeypatch.setattr("gcnnbench.cli.progress.LINE_SECONDS", -1)
    with RunReport(1) as report:
        report(Event("waiting", total=1))
        report(Event("started", "a cell"))
        report(Event("waiting", total=1))
        report(Event("finished", "a cell", text="done"))
    assert capsys.readouterr().err == "waiting for 1 cell of other processes\n[1/1] a cell: done\n"


def test_tables_are_all_new_or_all_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends the command before everything is made, no kept file of the set is another one."""
    results = tmp_path / "results"
    shutil.copytree(ROOT / "results" / "quickstart@1", results / "quickstart@1")
    shutil.copytree(ROOT / "results" / "quickstart-shifts@1", results / "quickstart-shifts@1")
    for name in ("tables/quickstart@1.md", "tables/quickstart-shifts@1.md", "figures/pairs.svg", "README.md"):
        (results / name).parent.mkdir(exist_ok=True)
        (results / name).write_text("as it was")

    def unchanged() -> bool:
        kept = {path for folder in ("tables", "figures") for path in (results / folder).iterdir()}
        return len(kept) == 3 and all(path.read_text() == "as it was" for path in {*kept, results / "README.md"})

    def drawn(*given: Any) -> str:
        (given[3] / "pairs.svg").write_text("new")
        return "new"

    def interrupted(*given: Any) -> str:
        drawn(*given)
        raise KeyboardInterrupt

    command = ("leaderboard", "--write", "--results", results)
    with monkeypatch.context() as patch:
        patch.setattr("gcnnbench.pages.results.page", interrupted)
        assert called(*command).exit_code != 0
    assert unchanged()

    monkeypatch.setattr("gcnnbench.pages.results.page", drawn)
    flushed, written = disk._flush, list[object]()

    def full(file: BinaryIO) -> None:
        written.append(file)
        if len(written) > 9:  # places are tried beforehand
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flushed(file)

    with monkeypatch.context() as patch:
        patch.setattr("gcnnbench.disk._flush", full)
        assert called(*command).exit_code != 0
    assert len(written) > 9
    assert unchanged()
    assert called(*command).exit_code == 0
    assert [(results / name).read_text() for name in ("README.md", "figures/pairs.svg")] == ["new", "new"]
    assert "p4cnn@12" in (results / "tables/quickstart@1.md").read_text()
    assert "circular" in (results / "tables/quickstart-shifts@1.md").read_text()

    times = {path: path.stat().st_mtime_ns for path in results.rglob("*") if path.is_file()}
    (results / "README.md").write_text("old")
    assert called(*command).exit_code == 0
    again = {path: path.stat().st_mtime_ns for path in times}
    assert {path for path in times if again[path] != times[path]} == {results / "README.md"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("buffered", [True, False])
def test_output_on_a_full_disk_ends_with_the_code_of_its_reason(buffered: bool) -> None:
    """That of stdout is told; where stderr takes nothing, the exit code is still the documented one."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    environment |= {} if buffered else {"PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "gcnnbench"]
    with Path("/dev/full").open("w") as full:
        listed = subprocess.run(
            [*command, "--version"], stdout=full, stderr=subprocess.PIPE, env=environment, check=False, text=True
        )
        wrong = subprocess.run([*command, "show", "nosuch"], stdout=full, stderr=full, env=environment, check=False)
    assert listed.returncode == wrong.returncode == 2
    where = f"No space left on device, where stdout goes or in {tempfile.gettempdir()}; make room there"
    assert listed.stderr.startswith(where)
    assert len(listed.stderr.splitlines()) == 1


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EPIPE, errno.EIO], ids=errno.errorcode.get)
def test_a_log_that_cannot_be_written_ends_no_run(
    number: int, monkeypatch: pytest.MonkeyPatch, *, terminal: bool
) -> None:
    """A full disk, the reader of a pipe that is gone, a terminal that is: neither lines nor bars end it."""

    class Broken(io.StringIO):
        def write(self, _: str, /) -> int:
            raise OSError(number, os.strerror(number))

        def isatty(self) -> bool:
            return terminal

    monkeypatch.setattr(sys, "stderr", Broken())
    with RunReport(1) as report:
        report(Event("started", "a", text="resumed"))
        report(Event("advanced", "a", phase="training", done=1, total=2))
        report(Event("finished", "a"))
    assert report.ended == 1


@pytest.mark.skipif(os.name != "posix", reason="a shell that closes streams")
@pytest.mark.parametrize(("words", "code"), [("--version", 0), ("show nosuch", 2)])
def test_streams_that_were_closed_before_the_start_change_no_exit_code(words: str, code: int) -> None:
    shell = f'exec "$@" {words} >&- 2>&-'
    started = ["sh", "-c", shell, "sh", sys.executable, "-m", "gcnnbench"]
    assert subprocess.run(started, check=False, capture_output=True).returncode == code


def test_status_of_a_directory_writes_nothing(tmp_path: Path) -> None:
    told = called("status", "tiny", "--include", TINY, "--results", tmp_path / "nowhere")
    assert told.exit_code == 0
    assert "2 planned" in told.stdout
    one = called("status", "quickstart", "--entry", "p4cnn@12", "--seeds", "0", "--results", tmp_path / "nowhere")
    assert [line for line in one.stdout.splitlines() if "planned" in line] == [
        "| quickstart@1 | p4cnn@12 | 1 planned |"
    ]
    assert list(tmp_path.iterdir()) == []


def test_an_empty_directory_has_no_records_and_no_table(tmp_path: Path) -> None:
    told = called("verify", "records", "--results", tmp_path)
    assert told.exit_code == 1
    assert told.stdout == ""
    assert "no record to verify" in told.stderr


def test_what_was_asked_for_and_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--benchmark", "quickstart", "--entry", "p4cnn@12", "--seeds", "7-8", "--results", tmp_path)
    told = called("verify", "records", *asked)
    assert told.exit_code == 1
    assert "no record of quickstart, p4cnn@12, seeds 7, 8 to verify" in " ".join(told.stderr.split())
    code, said = ended(capsys, "verify", "records", "--entry", "p4cn@12", "--results", tmp_path)
    assert code == 2, "as every verb that is asked for an entry that there is none of"
    assert "no benchmark has an entry 'p4cn@12'; did you mean p4cnn@12?" in " ".join(said.split())


def test_a_wrong_card_is_told_by_the_same_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """1 by every verb that checks it, 2 by every verb that needs it for something else."""
    folder = tmp_path / "mynet"
    assert called("new", "mynet", "--kind", "torch", "--output", tmp_path).exit_code == 0
    card = folder / "model.yaml"
    card.write_text(card.read_text().replace("group: trivial", "group: p5"))
    for code, words in (
        (1, ("validate", folder)),
        (1, ("submit", folder, "--check")),
        (1, ("submit", folder)),
        (2, ("run", "quickstart", "--include", folder)),
        (2, ("list", "--include", folder)),
        (2, ("verify", "claims", "--include", folder)),
    ):
        found, said = ended(capsys, *words)
        assert (found, "group: 'p5' is unknown here" in said) == (code, True), words


def test_the_first_run_on_a_data_set_without_digests_makes_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, and not again: its record names the copy that it was made on."""
    known = Registry.load([TINY])
    card = known.dataset("digits")
    digest = card.parts["all"].digest
    opened = card.model_copy(update={"parts": {"all": card.parts["all"].model_copy(update={"digest": None})}})
    registry = replace(known, datasets={**known.datasets, "digits": opened})
    monkeypatch.setattr(Registry, "load", lambda *_: registry)
    places = ("--data", tmp_path / "data", "--results", tmp_path / "results")
    first = called(*RUN, *places)
    assert first.exit_code == 0, first.output
    assert "1 cell run, 0 were done before, 0 failed" in first.stdout
    record = parse_model((tmp_path / "results/tiny@1/z2cnn@8/seed-0.json").read_bytes(), Record)
    assert record.spec["data"] == recorded_copy(tmp_path / "results", "digits") == {"all": digest}
    again = called(*RUN, *places)
    assert "0 cells run, 1 was done before, 0 failed" in again.stdout
    board = called("leaderboard", "tiny", "--results", tmp_path / "results")
    assert "stale" not in board.stdout
    assert "| z2cnn@8 " in board.stdout


def test_a_failing_try_out_writes_nothing_official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverging(cell: Cell, state: CellState) -> None:
        raise DivergedError("the loss is nan in epoch 1")

    monkeypatch.setattr(outcomes, "run_cell", diverging)
    tried = called(*RUN, "--limit", "50", "--results", tmp_path)
    assert tried.exit_code == 3
    (path,) = (tmp_path / "tiny@1" / "z2cnn@8").iterdir()
    assert path.name == "seed-0.unofficial-failed.json"
    assert not parse_model(path.read_bytes(), Failure).official
    told = called("status", "tiny", "--include", TINY, "--results", tmp_path, "--format", "json")
    assert '"state": "failed"' not in told.stdout
    verified = called("verify", "records", "--include", TINY, "--results", tmp_path)
    assert "failed with --limit, which excuses no missing seed: the loss is nan" in " ".join(verified.stdout.split())


def test_a_damaged_checkpoint_is_said_and_the_cell_starts_anew(tmp_path: Path) -> None:
    store, cell = Store(tmp_path), Cell(Registry.load([TINY]), "tiny", "z2cnn@8", 0, "cpu", 1, Path())
    store.write(store.state_path(cell), b"gcnnbench state 1 but damaged\n")
    told = called(*RUN, "--results", tmp_path)
    assert told.exit_code == 0, told.output
    assert "started anew: its checkpoint is not gone on from: it is damaged" in told.stderr


def test_an_unreadable_record_is_told_by_run_and_by_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tiny@1" / "z2cnn@8" / "seed-0.json"
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    told = called("status", "tiny", "--include", TINY, "--results", tmp_path, "--format", "json")
    assert '"state": "unreadable"' in told.stdout
    code, said = ended(capsys, *RUN, "--results", tmp_path)
    assert code == 2
    assert "seed-0.json: cannot be read: it is no plain file" in said
