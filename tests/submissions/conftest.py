from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from gcnnbench.runs.cell_run import run_cell
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.store import Store
from gcnnbench.submissions.bundle import pack
from gcnnbench.submissions.folder import read_submission
from gcnnbench.submissions.scaffold import Kind, new
from gcnnbench.submissions.submitting import cells_of

MINI = Path(__file__).with_name("mini.yaml")


@pytest.fixture(scope="session")
def mini() -> Path:
    """The card of a benchmark of seconds, which submissions here enter."""
    return MINI


def scaffolded(name: str, kind: Kind, parent: Path) -> Path:
    """What `gcnnbench new` writes, entered in `mini` in the place of quickstart."""
    folder = new(name, kind, parent)
    card = folder / "model.yaml"
    card.write_text(card.read_text().replace("quickstart", "mini"))
    return folder


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the scaffold, its records made by an ordinary run: this code is our own, and needs no container."""
    parent = tmp_path_factory.mktemp("packed")
    submission = read_submission(scaffolded("mynet", "gcnn", parent), [MINI])
    store = Store(parent / "results")
    for cell in cells_of(submission, Path("unused")):
        *_, last = run_cell(cell)
        assert isinstance(last, Finished)
        store.add(cell, last)
    pack(submission, store.results, parent / "mynet.bundle")
    return parent / "mynet.bundle"


@pytest.fixture
def bundle(packed: Path, tmp_path: Path) -> Path:
    """A copy of the bundle, to be tampered with."""
    copy = tmp_path / packed.name
    shutil.copytree(packed, copy)
    return copy


@pytest.fixture(scope="session")
def scaffold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A submission's folder as `gcnnbench new` writes it, entered in `mini`."""
    return scaffolded("mynet", "gcnn", tmp_path_factory.mktemp("scaffold"))


@pytest.fixture
def folder(scaffold: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to be spoilt."""
    copy = tmp_path / scaffold.name
    shutil.copytree(scaffold, copy)
    return copy


Edit = Callable[[str, object], None]


@pytest.fixture
def edit(folder: Path) -> Edit:
    """Set a key of the spoilt folder's card; None takes it out."""

    def change(key: str, value: object) -> None:
        path = folder / "model.yaml"
        card = yaml.safe_load(path.read_text())
        card[key] = value
        if value is None:
            del card[key]
        path.write_text(yaml.safe_dump(card))

    return change
