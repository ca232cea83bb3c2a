"""A claims card of one's own: the card of the docs is read, checked and judged by the command line."""

from __future__ import annotations

import json
import re
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from gcnnbench.cards.reading import CardsError
from tests.command_line import called

ROOT = Path(__file__).parents[2]


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


def test_junit_and_annotations_name_the_refuted_claim(own: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    results, report = tmp_path / "results", tmp_path / "claims.xml"
    shutil.copytree(ROOT / "results" / "quickstart@1" / "p4cnn@12", results / "quickstart@1" / "p4cnn@12")
    words = ("verify", "claims", "--include", own, "--paper", "my-claims", "--junit", report, "--results")

    def reported(results: Path) -> tuple[int, tuple[str, ...], str]:
        found = called(*words, results)
        root = ElementTree.parse(report).getroot()
        (case,) = root.iter("testcase")
        assert case.attrib["name"] == "my-claims/upright"
        numbers = tuple(root.attrib[name] for name in ("tests", "failures", "skipped"))
        return found.exit_code, numbers, "".join(child.attrib["message"] for child in case) + found.stderr

    assert reported(results) == (0, ("1", "0", "0"), "")
    assert reported(tmp_path / "none") == (0, ("1", "0", "1"), "not run")
    text = own.read_text("utf-8").replace("quantity: accuracy.upright", "quantity: parameters")
    text = text.replace("accuracy-percent", "thousands")
    text = text.replace("    spread: {value: 1.0, kind: sample}\n    runs: 10\n", "")
    own.write_text(text, "utf-8")
    assert called("validate", own).exit_code == 0
    code, numbers, told = reported(results)
    assert (code, numbers) == (1, ("1", "1", "0"))
    assert told == "my-claims upright: refuted::error::my-claims upright: refuted\n"


def test_it_is_validated_with_its_place(own: Path) -> None:
    registered = called("validate").stdout
    result = called("validate", own)
    assert result.exit_code == 0
    assert result.stdout != registered, "one claims card more is counted"
    own.write_text(own.read_text("utf-8").replace("p4cnn@12", "p4cnn@99"), "utf-8")
    result = called("validate", own)
    assert result.exit_code == 1
    assert re.search(r"my-claims\.yaml:\d+:\d+: claims\[0\]: p4cnn@99 is no entry of quickstart", result.stderr)


def test_a_registered_source_is_taken(own: Path) -> None:
    path = own.with_name("cohen2016.yaml")
    path.write_text(own.read_text("utf-8").replace("source: my-claims", "source: cohen2016"), "utf-8")
    result = called("verify", "claims", "--include", path)
    assert isinstance(result.exception, CardsError)
    assert "cohen2016 is taken by" in str(result.exception)
