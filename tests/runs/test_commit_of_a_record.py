"""A record says of which commit its code is, also of a process that goes on while its checkout changes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from gcnnbench.runs import provenance
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.provenance import commit, versions
from gcnnbench.runs.state import start

MODEL = Path("models") / "toy" / "model.py"


def forget() -> None:
    """Let this process ask as if it had not asked before."""
    for found in vars(provenance).values():
        if hasattr(found, "cache_clear"):
            found.cache_clear()


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout with a model and a result, of which this process has not asked yet."""
    for place in (MODEL, Path("results") / "README.md"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("as committed\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    monkeypatch.setattr(provenance, "CHECKOUT", tmp_path)
    forget()
    yield tmp_path
    forget()


def test_a_model_that_is_edited_between_two_cells_is_told(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    assert commit() == (head, False)
    (checkout / MODEL).write_text("edited\n")
    assert commit() == (head, True)
    git(checkout, "checkout", "-q", ".")
    assert commit() == (head, True), "what was imported stays"


def test_a_new_file_is_told(checkout: Path) -> None:
    assert commit()[1] is False
    (checkout / MODEL).with_name("new.py").write_text("new\n")
    assert commit()[1] is True


def test_an_edit_that_is_taken_back_before_the_end_was_seen_at_the_start(
    checkout: Path, make_cell: Callable[..., Cell]
) -> None:
    assert commit()[1] is False
    (checkout / MODEL).write_text("edited\n")
    start(make_cell())
    git(checkout, "checkout", "-q", ".")
    assert commit()[1] is True


def test_the_commit_is_the_one_that_the_process_began_with(checkout: Path) -> None:
    head, dirty = commit()
    assert (head, dirty) == (git(checkout, "rev-parse", "HEAD"), False)
    (checkout / "results" / "README.md").write_text("more records\n")
    git(checkout, "commit", "-qam", "results")
    assert commit() == (head, False), "no code has changed"
    (checkout / MODEL).write_text("edited\n")
    git(checkout, "commit", "-qam", "a model")
    assert commit() == (head, True), "some of it may be imported, and some of the old one is"


def test_outside_a_checkout_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "CHECKOUT", tmp_path)
    forget()
    assert commit() == (None, None)
    forget()


def test_a_package_that_is_installed_between_two_cells_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"torch": "2.0"}

    def version(package: str) -> str:
        try:
            return installed[package]
        except KeyError:
            raise PackageNotFoundError(package) from None

    monkeypatch.setattr(provenance, "version", version)
    forget()
    assert "e2cnn" not in versions()
    installed.update(e2cnn="0.2", torch="3.0")
    assert (versions()["e2cnn"], versions()["torch"]) == ("0.2", "2.0"), "what was there is imported by now"
    forget()
