"""A claims card of one's own: the card of the docs is read, checked and judged by the command line."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gcnnbench.cards.reading import CardsError
from gcnnbench.cli.app import build_app

ROOT = Path(__file__).parents[2]


def called(*arguments: str | Path) -> Result:
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The card that the page shows."""
    found = re.search(r"```yaml\n(.*?)```", (ROOT / "docs" / "own-claims.md").read_text("utf-8"), re.DOTALL)
    assert found is not None
    path = tmp_path / "my-claims.yaml"
    path.write_text(found[1], "utf-8")
    return path


def judged(own: Path, results: Path) -> dict[str, str]:
    words = ("verify", "claims", "--include", own, "--paper", "my-claims", "--results", results, "--format", "json")
    (row,) = json.loads(called(*words).stdout)["rows"]
    return {key: row[key] for key in ("source", "id", "verdict")}


@pytest.mark.parametrize("folder", [False, True])
def test_it_is_judged(own: Path, folder: bool, tmp_path: Path) -> None:
    given, results = own.parent if folder else own, tmp_path / "results"
    shutil.copytree(ROOT / "results" / "quickstart@1" / "p4cnn@12", results / "quickstart@1" / "p4cnn@12")
    assert judged(given, results) == {"source": "my-claims", "id": "upright", "verdict": "reproduced"}
    assert judged(given, tmp_path / "none")["verdict"] == "not run"
    own.write_text(own.read_text("utf-8").replace("86.0", "46.0"), "utf-8")
    assert judged(given, results)["verdict"] == "refuted"


def test_it_is_validated_with_its_place(own: Path) -> None:
    registered = called("validate").stdout
    result = called("validate", own)
    assert result.exit_code == 0
    assert result.stdout != registered, "one claims card more is counted"
    own.write_text(own.read_text("utf-8").replace("p4cnn@12", "p4cnn@99"), "utf-8")
    result = called("validate", own)
    assert result.exit_code == 2
    assert re.search(r"my-claims\.yaml:\d+:\d+: claims\[0\]: p4cnn@99 is no entry of quickstart", result.stderr)


def test_a_registered_source_is_taken(own: Path) -> None:
    path = own.with_name("cohen2016.yaml")
    path.write_text(own.read_text("utf-8").replace("source: my-claims", "source: cohen2016"), "utf-8")
    result = called("verify", "claims", "--include", path)
    assert isinstance(result.exception, CardsError)
    assert "cohen2016 is taken by" in str(result.exception)
