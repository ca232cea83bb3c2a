"""Good submissions go the whole way in isolation, from `new` to a row: one kind by default, all with `--soak`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gcnnbench.cli.app import build_app
from gcnnbench.submissions.containment import isolation
from gcnnbench.submissions.scaffold import STARTS

RUNNER = CliRunner()
WHOLE = "gcnn"
"""The kind that goes the whole way by default, and is trained again."""

pytestmark = pytest.mark.skipif(isolation().kind == "none", reason=f"no isolation here: {isolation().reason}")


def called(*arguments: object) -> Result:
    result = RUNNER.invoke(build_app(), [str(argument) for argument in arguments])
    assert result.exit_code == 0, f"{arguments}: {result.stdout}{result.stderr}{result.exception}"
    return result


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The kinds that go the whole way."""
    if "whole" in metafunc.fixturenames:
        metafunc.parametrize("whole", list(STARTS) if metafunc.config.getoption("--soak") else [WHOLE])


@pytest.fixture
def card(tmp_path: Path, mini: Path) -> Path:
    """A benchmark of one seed."""
    place = tmp_path / "one-seed.yaml"
    place.write_text(mini.read_text().replace("name: mini", "name: one-seed").replace("seeds: 2", "seeds: 1"))
    return place


def started(kind: str, place: Path) -> Path:
    """A submission to it as `new` makes it."""
    called("new", f"my-{kind}", "--kind", kind, "--output", place)
    folder = place / f"my-{kind}"
    (folder / "model.yaml").write_text((folder / "model.yaml").read_text().replace("quickstart", "one-seed"))
    return folder


@pytest.mark.parametrize("kind", sorted({*STARTS} - {WHOLE}))
def test_what_new_makes_has_no_findings(kind: str, tmp_path: Path, card: Path) -> None:
    checked = called("submit", started(kind, tmp_path), "--check", "--include", card)
    assert "all checks passed" in checked.stdout


def test_a_good_submission_goes_the_whole_way(whole: str, tmp_path: Path, card: Path) -> None:
    name = f"my-{whole}"
    folder, bundle = started(whole, tmp_path), tmp_path / f"{name}.bundle"
    submitted = called("submit", folder, "--include", card, "--output", bundle)
    assert re.search(r"my-\w+\.bundle: 6 files, digest [0-9a-f]{64}", submitted.stdout)
    assert not list(tmp_path.glob(f".{bundle.name}*")), "the work folder is taken away"
    models, results = tmp_path / "models", tmp_path / "results"
    grade, retrain = ("re-trained", ["--retrain", "1"]) if whole == WHOLE else ("re-scored", [])
    grade += ", trained beside its code" if whole == "e2cnn" else ""  # its norms depend on the values of tensors
    places = ("--models", models, "--results", results, "--include", card)
    accepted = called("submit", bundle, "--accept", *retrain, *places)
    assert re.search(rf"{name}@12 seed 0 +\| {grade}", accepted.stdout)
    assert (models / name / "model.py").read_bytes() == (folder / "model.py").read_bytes()
    board = called("leaderboard", "one-seed", "--results", results, "--include", card, "--include", models / name)
    assert re.search(rf"\| 1 +\| {name}@12 +\| (none|exact)", board.stdout)
    assert f"{name}@12 was submitted: seed 0 {grade}." in board.stdout
    assert (results / "tables" / "one-seed@1.md").read_text() == board.stdout
    records = called("verify", "records", "--results", results, "--include", card, "--include", models / name)
    assert "refused" not in records.stdout
