"""What exports say, and that a record changed by one digit fails in each check that is written for others to read."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from gcnnbench.cards.registry import Registry
from gcnnbench.cli.app import build_app
from gcnnbench.errors import UserError
from gcnnbench.explain.lineage import explain
from gcnnbench.exports.huggingface import model_card
from gcnnbench.exports.junit import Case, Fault, github_annotations, junit

RESULTS = Path(__file__).parents[2] / "results"


def gcnnbench(*words: str, results: Path = RESULTS) -> Result:
    return CliRunner().invoke(build_app(), [*words, "--results", str(results)])


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(RESULTS / "quickstart@1/p4cnn@12", tmp_path / "results/quickstart@1/p4cnn@12")
    return tmp_path / "results"


def change_one_digit(results: Path) -> None:
    path = results / "quickstart@1/p4cnn@12/seed-1.json"
    text = path.read_text()
    found = re.search(r'"upright": ?\[\s*\[\s*(\d+)', text)
    assert found
    digit = found[1][-1]
    path.write_text(text[: found.end(1) - 1] + str((int(digit) + 1) % 10) + text[found.end(1) :])


def test_evaluation_results_hold_the_mean_and_the_way_to_its_records() -> None:
    (entry,) = yaml.safe_load(gcnnbench("export", "eval-results", "quickstart", "p4cnn@12").stdout)
    board = json.loads(gcnnbench("leaderboard", "quickstart", "--format", "json").stdout)[0]
    row = next(row for row in board["rows"] if row["entry"] == "p4cnn@12")
    assert entry["value"] == row["metrics"]["accuracy.orbit"]["mean"]
    assert entry["dataset"] == {"id": "gcnnbench/digits", "task_id": "quickstart@1/accuracy.orbit"}
    assert "gcnnbench explain quickstart@1 p4cnn@12 accuracy.orbit" in entry["notes"]
    assert row["spec_digest"] in entry["notes"]


def test_a_statement_fails_for_a_record_changed_by_one_digit(copied: Path) -> None:
    before = json.loads(gcnnbench("export", "in-toto", "quickstart", "p4cnn@12", results=copied).stdout)
    assert before["predicate"]["result"] == "PASSED"
    assert len(before["predicate"]["passedTests"]) == 3
    change_one_digit(copied)
    after = json.loads(gcnnbench("export", "in-toto", "quickstart", "p4cnn@12", results=copied).stdout)["predicate"]
    assert after["result"] == "FAILED"
    assert [name for name in after["failedTests"] if name.startswith("quickstart@1/p4cnn@12/seed-1.json: refused: ")]


@pytest.mark.parametrize("form", ["eval-results", "model-card"])
def test_nothing_is_exported_of_a_record_changed_by_one_digit(copied: Path, form: str) -> None:
    """Left out it would make another number, of fewer seeds."""
    before = gcnnbench("export", form, "quickstart", "p4cnn@12", results=copied)
    assert before.exit_code == 0
    assert "3 of 3 seeds" in before.stdout or "over 3 seeds" in before.stdout
    change_one_digit(copied)
    after = gcnnbench("export", form, "quickstart", "p4cnn@12", results=copied)
    assert after.stdout == ""
    assert isinstance(after.exception, UserError)
    assert str(after.exception).startswith("quickstart@1/p4cnn@12/seed-1.json does not verify, so nothing is exported")


def test_junit_and_annotations_name_the_record_changed_by_one_digit(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "records.xml"
    assert gcnnbench("verify", "records", "--junit", str(path), results=copied).exit_code == 0
    assert ElementTree.parse(path).getroot().attrib["failures"] == "0"
    change_one_digit(copied)
    done = gcnnbench("verify", "records", "--junit", str(path), results=copied)
    assert done.exit_code == 1
    root = ElementTree.parse(path).getroot()
    failed = [case.attrib["name"] for case in root.iter("testcase") if case.find("failure") is not None]
    assert failed == ["quickstart@1/p4cnn@12/seed-1.json"]
    assert int(root.attrib["failures"]) == 1
    assert int(root.attrib["tests"]) == len(list(root.iter("testcase"))) >= 3
    assert "::error file=results/quickstart@1/p4cnn@12/seed-1.json::" in done.stderr


def test_validate_writes_a_case_a_card_and_annotates_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "models/mini"
    folder.mkdir(parents=True)
    card = (Path(__file__).parents[2] / "models/p4cnn/model.yaml").read_text().replace("name: p4cnn", "name: mini")
    (folder / "model.yaml").write_text(
        card.replace("model_version: 2", "model_version: none").replace("\ngroup: p4", "\ngroup: p5")
    )
    done = CliRunner().invoke(build_app(), ["validate", str(folder), "--junit", "validate.xml"])
    assert done.exit_code == 1
    root = ElementTree.parse("validate.xml").getroot()
    failed = [case.attrib["name"] for case in root.iter("testcase") if case.find("failure") is not None]
    assert failed == ["models/mini/model.yaml"]
    assert re.search(r"::error file=models/mini/model.yaml,line=\d+,col=\d+::", done.stderr)


def test_every_card_that_was_checked_is_a_case(tmp_path: Path) -> None:
    """Models, data sets, benchmarks of all versions, claims cards and protocols."""
    done = CliRunner().invoke(build_app(), ["validate", "--junit", str(tmp_path / "validate.xml")])
    root = ElementTree.parse(tmp_path / "validate.xml").getroot()
    assert done.stdout.startswith(f"{root.attrib['tests']} cards checked")
    folders = {Path(case.attrib["name"]).parent.name for case in root.iter("testcase")}
    assert {"benchmarks", "superseded", "claims", "protocols"} <= folders


def test_a_key_that_is_no_text_of_xml_is_named_in_a_report(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text('"a\\uFFFFb": 1\n')
    words = ["validate", str(tmp_path / "b.yaml"), "--junit", str(tmp_path / "validate.xml")]
    assert CliRunner().invoke(build_app(), words).exit_code == 1
    (failure,) = ElementTree.parse(tmp_path / "validate.xml").getroot().iter("failure")
    assert "a\\uffffb: " in str(failure.text)


def test_what_stands_in_a_report_is_inert() -> None:
    hostile = "]]></failure><x/>\x1b[31m\u202e\n::error::owned %0A"
    cases = [Case("a", (Fault(hostile, "a,b:c.json", 3, 4),)), Case("b"), Case("c", skipped="no data")]
    root = ElementTree.fromstring(junit("suite", cases).encode())
    assert (root.attrib["tests"], root.attrib["failures"], root.attrib["skipped"]) == ("3", "1", "1")
    assert [one.tag for one in root.iter() if one.tag == "x"] == []
    told = github_annotations(cases)
    assert told.count("\n") == 1
    assert told.startswith("::error file=a%2Cb%3Ac.json,line=3,col=4::")
    assert "%250A" in told


def test_croissant_names_every_file_with_a_checksum_and_every_part_by_its_digest() -> None:
    data: Any = json.loads(CliRunner().invoke(build_app(), ["export", "croissant", "mnist"]).stdout)
    assert data["distribution"][0]["md5"] == "6bbc9ace898e44ae57da46a324031adb"
    assert len(data["distribution"]) == 4
    assert {part["value"][:8] for part in data["variableMeasured"]} == {"d7e14e36", "78c3ba6e"}


def test_what_a_card_says_is_no_markup_in_a_model_card(copied: Path) -> None:
    registry = Registry.load()
    hostile = "<script>x</script> [x](javascript:x)\n# A heading"
    card = registry.model("p4cnn").model_copy(update={"title": hostile, "summary": hostile})
    found = explain(registry, copied, "quickstart", "p4cnn@12")
    text = model_card(replace(registry, models={**registry.models, "p4cnn": card}), found)
    assert "<script>" not in text
    assert "](" not in text
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        r"# &lt;script>x&lt;/script> [x]\(javascript:x) # A heading"
    ]


def test_wrong_names_are_told_the_forms() -> None:
    assert "croissant DATASET" in str(gcnnbench("export", "croissant", "a", "b").exception)


def workflow_steps() -> list[str]:
    text = (Path(__file__).parents[2] / ".github/workflows/verify.yml").read_text()
    return [step.get("run", "") for step in yaml.safe_load(text)["jobs"]["verify"]["steps"]]


def test_the_workflow_runs_what_it_should() -> None:
    text = (Path(__file__).parents[2] / ".github/workflows/verify.yml").read_text()
    steps = workflow_steps()
    verbs = re.findall(r"gcnnbench (verify \w+|validate)", "\n".join(steps))
    assert verbs == ["validate", "verify records", "verify bundle"]
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}


def test_the_workflow_fails_for_a_changed_record_and_a_broken_bundle_and_reports_them(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its steps are run as GitHub runs them, by bash that stops at an error, in a checkout of one entry's records."""
    command = tmp_path / "bin/gcnnbench"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gcnnbench "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    records, bundles = (next(step for step in workflow_steps() if f"verify {what}" in step) for what in ("rec", "bun"))

    def bash(step: str) -> tuple[int, str]:
        script = f"{step} --results {copied}" if step == records else step
        done = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    assert bash(bundles) == (0, ""), "a pull request without bundles"
    change_one_digit(copied)
    code, said = bash(records)
    assert code == 1, said
    assert "::error file=results/quickstart@1/p4cnn@12/seed-1.json::" in said
    assert ElementTree.parse(tmp_path / "reports/records.xml").getroot().attrib["failures"] == "1"
    (tmp_path / "bundles/broken.bundle").mkdir(parents=True)
    code, said = bash(bundles)
    assert code == 1, said
    assert int(ElementTree.parse(tmp_path / "reports/broken.bundle.xml").getroot().attrib["failures"]) >= 1
