"""Accepting a bundle is all or nothing, may be repeated, and never writes over what is another's."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import gcnnbench.models
from gcnnbench.cli.app import build_app
from gcnnbench.errors import UserError
from gcnnbench.leaderboard import tables
from gcnnbench.runs.store import Store
from gcnnbench.submissions.accepting import Accepted, accept
from gcnnbench.submissions.verifying import BundleReport, verify_bundle


@pytest.fixture
def report(packed: Path, mini: Path) -> BundleReport:
    """A bundle that was recomputed, and nothing more."""
    return verify_bundle(packed, Path("unused"), depth="read", include=[mini])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_merges_the_model_the_results_and_the_tables(report: BundleReport, mini: Path, tmp_path: Path) -> None:
    accept(report, tmp_path / "models", tmp_path / "results", [mini])
    packed = contents(report.bundle.path)
    merged = contents(tmp_path)
    assert {name: merged[name] for name in packed if name != "manifest.json"} == {
        name: content for name, content in packed.items() if name != "manifest.json"
    }
    kept = json.loads(merged["results/mini@1/mynet@12/measured.json"])
    grades = {"seed-0.json": "self-reported", "seed-1.json": "self-reported"}
    assert kept == {"bundle": report.bundle.manifest.digest, "measured": grades}
    assert "mynet@12 was submitted: seeds 0–1 self-reported." in merged["results/tables/mini@1.md"].decode()
    again = accept(report, tmp_path / "models", tmp_path / "results", [mini])
    assert again == Accepted((), ())
    assert contents(tmp_path) == merged


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table that was there before."""
    table = tmp_path / "results" / "tables" / "mini@1.md"
    table.parent.mkdir(parents=True)
    table.write_text("the table as it was")
    return table


def test_the_command_names_what_it_wrote_and_how_it_is_taken_back(
    packed: Path, mini: Path, table: Path, tmp_path: Path
) -> None:
    """Folders that are all its own, and of the others the files."""
    places = ["--include", str(mini), "--models", str(tmp_path / "models"), "--results", str(tmp_path / "results")]
    words = ["submit", str(packed), "--accept", "--no-rescore", *places]
    lines = CliRunner().invoke(build_app(), words).stdout.splitlines()
    assert f"  {tmp_path}/models/mynet: 3 new files" in lines
    assert f"  {tmp_path}/results/tables: 1 changed file" in lines
    assert f"  {tmp_path}/results/tables: 4 new files" in lines
    assert lines[-2] == f"next: gcnnbench leaderboard --results {tmp_path / 'results'} --include {mini} mini@1"
    removed, restored = lines[-1].removeprefix("to take it back: rm -r ").split(" && ")
    assert restored == f"git restore {table}"
    for place in map(Path, removed.split()):
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    assert set(contents(tmp_path)) == {"results/tables/mini@1.md"}


def test_nothing_is_written_over_another_file(report: BundleReport, mini: Path, tmp_path: Path) -> None:
    other = tmp_path / "models" / "mynet" / "model.py"
    other.parent.mkdir(parents=True)
    other.write_text("another network")
    before = contents(tmp_path)
    with pytest.raises(UserError, match=r"model\.py is there already and is another file; nothing was accepted"):
        accept(report, tmp_path / "models", tmp_path / "results", [mini])
    assert contents(tmp_path) == before


def test_a_failure_on_the_way_leaves_everything_as_it_was(
    report: BundleReport, mini: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(tmp_path)

    def full(_: object) -> dict[str, str]:
        assert (tmp_path / "models" / "mynet" / "model.py").exists()
        raise OSError("no space left on device")

    monkeypatch.setattr(tables, "table_files", full)
    with pytest.raises(OSError, match="no space left"):
        accept(report, tmp_path / "models", tmp_path / "results", [mini])
    assert contents(tmp_path) == before


def test_a_disk_that_is_full_leaves_everything_as_it_was(
    report: BundleReport, mini: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is taken back makes room for what is put back, and no empty folder stays."""
    before, write = contents(tmp_path), Store.write

    def full_while_the_model_is_there(self: Store, path: Path, content: bytes) -> None:
        if path.suffix == ".csv" or (path == table and (tmp_path / "models" / "mynet" / "model.py").exists()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(self, path, content)

    monkeypatch.setattr(Store, "write", full_while_the_model_is_there)
    with pytest.raises(OSError, match="No space left"):
        accept(report, tmp_path / "models", tmp_path / "results", [mini])
    assert contents(tmp_path) == before
    assert not (tmp_path / "models" / "mynet").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["submit", "x", "--check", "--accept"], "--check looks at a folder, --accept at a bundle"),
        (["submit", "x", "--retrain", "1"], "--retrain says nothing without --accept"),
        (["submit", "x", "--accept", "--retrain", "1", "--no-rescore"], "--retrain goes deeper"),
        (["submit", "nowhere", "--check"], "nowhere: no such folder; write a starting point with: gcnnbench new NAME"),
        (["verify", "bundle", "nowhere"], "nowhere: no such bundle; `gcnnbench submit FOLDER` packs one"),
    ],
)
def test_wrong_usage_is_said(words: list[str], told: str) -> None:
    result = CliRunner().invoke(build_app(), words)
    assert isinstance(result.exception, UserError)
    assert told in str(result.exception)


def test_the_verb_gives_one_json_document(packed: Path, bundle: Path, mini: Path) -> None:
    words = ["verify", "bundle", "--no-rescore", "--include", str(mini), "--format", "json"]
    fine = CliRunner().invoke(build_app(), [*words, str(packed)])
    assert fine.exit_code == 0
    assert json.loads(fine.stdout)["summary"] == {"self-reported": 2}
    (bundle / "models" / "mynet" / "model.py").write_text("# edited")
    refused = CliRunner().invoke(build_app(), [*words, str(bundle)])
    assert refused.exit_code == 1
    rows = json.loads(refused.stdout)["rows"]
    assert [(row["id"], row["verdict"]) for row in rows] == [("hash", "refused")]
    assert "hash: models/mynet/model.py is not the file that was packed" in refused.stderr


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12 warns of forks beside threads
def test_killed_after_any_file_the_same_call_completes_it(
    report: BundleReport, mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill leaves what was written, and the half of one file in the folder for those."""
    accept(report, tmp_path / "whole" / "models", tmp_path / "whole" / "results", [mini])
    expected, write = contents(tmp_path / "whole"), Store.write
    for survived in range(len(expected)):
        place = tmp_path / f"killed after {survived}"
        left = [survived]

        def killed(self: Store, path: Path, content: bytes, left: list[int] = left) -> None:
            if not left[0]:
                self.temporary.mkdir(parents=True, exist_ok=True)
                (self.temporary / ".gcnnbench-left.tmp").write_bytes(content[: len(content) // 2])
                os._exit(9)
            left[0] -= 1
            write(self, path, content)

        child = os.fork()
        if child == 0:
            monkeypatch.setattr(Store, "write", killed)
            accept(report, place / "models", place / "results", [mini])
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        accept(report, place / "models", place / "results", [mini])
        assert contents(place) == expected


def test_an_installed_package_takes_no_model_into_itself(
    packed: Path, mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `--accept` writes into is a checkout's models/, or the folder that --models names; never site-packages."""
    installed = tmp_path / "site-packages" / "gcnnbench" / "models"
    installed.mkdir(parents=True)
    monkeypatch.setattr(gcnnbench.models, "__path__", [str(installed)])
    before = contents(tmp_path)
    words = [
        "submit",
        str(packed),
        "--accept",
        "--no-rescore",
        "--include",
        str(mini),
        "--results",
        str(tmp_path / "r"),
    ]
    refused = CliRunner().invoke(build_app(), words)
    assert isinstance(refused.exception, UserError)
    assert "this is no checkout, and an installed package takes no further model: say --models DIR" in str(
        refused.exception
    )
    assert contents(tmp_path) == before
