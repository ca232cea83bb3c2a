"""What would not be looked at is refused: an option that is written and ignored would be believed."""

from __future__ import annotations

from typing import Any

import pytest

UNUSED = [
    ("audit --zoo --sizes 28", "--sizes says nothing with --zoo"),
    ("audit p4cnn --zoo --passport p.json", "--passport says nothing with --zoo"),
    ("audit p4cnn@28 --lie rotation --passport p.json", "--passport says nothing with --lie"),
    ("audit p4cnn@28 --lie rotation --group p4m", "--group says nothing with --lie"),
    ("audit p4cnn@28 --lie rotation --explain 28", "--explain says nothing with --lie"),
    ("audit p4cnn@28 --explain 28 --badge b.svg", "--badge says nothing with --explain"),
    ("audit p4cnn@28 --explain 28 --exact-at 28", "--exact-at says nothing with --explain"),
    ("audit p4cnn@28 --explain 28 --format json", "--format says nothing with --explain"),
    ("submit folder --check --jobs 2", "--jobs says nothing with --check"),
    ("submit folder --accept --output bundle", "--output says nothing with --accept"),
    ("list models --write page.md", "KIND says nothing with --write"),
    ("list --write page.md --format json", "--format says nothing with --write"),
    ("new mine --images photos --kind torch", "--kind says nothing with --images"),
    ("figure --benchmark quickstart", "--benchmark says nothing without NAME, which lists the figures"),
    ("export croissant quickstart --metric accuracy.upright", "--metric says nothing in the form croissant"),
    ("export in-toto quickstart p4cnn@12 --url https://a.org", "--url says nothing in the form in-toto"),
    ("export model-card quickstart p4cnn@12 --dataset a/b", "--dataset says nothing in the form model-card"),
    ("perf --compare a.json b.json --save c.json", "--save says nothing with --compare"),
    ("perf layers --compare a.json b.json", "SECTION says nothing with --compare"),
    ("perf workers start-up --threads 2", "--threads says nothing to workers and start-up"),
    ("verify claims --device cpu", "--device says nothing without --rerun"),
    ("verify records --device cpu", "--device says nothing without --rescore and --retrain"),
    ("leaderboard quickstart --wide --format csv", "--format csv holds all columns: leave out --wide"),
    ("verify bundle my.bundle --no-rescore --trust", "--trust says nothing with --no-rescore"),
    ("run quickstart --dry-run --state-seconds 5", "--state-seconds says nothing with --on local"),
    ("run quickstart --node-data there", "--node-data says nothing with --on local"),
    ("run quickstart --gpus 1", "--gpus says nothing with --on local, only with --on ray"),
    ("run quickstart --dry-run --on nodes.py:make --address a:1", "--address says nothing with --on nodes.py:make"),
    ("run quickstart --dry-run --on ray --cores 0", "--cores 0 without --gpus: a cell must reserve something"),
    ("run quickstart --dry-run --on nodes", "--on nodes: write local, ray, MODULE:FACTORY or FILE.py:FACTORY"),
]


@pytest.mark.parametrize(("line", "told"), UNUSED, ids=[line for line, _ in UNUSED])
def test_an_option_without_effect_is_refused(gcnnbench: Any, line: str, told: str) -> None:
    code, out, err = gcnnbench(*line.split())
    assert (code, out) == (2, "")
    assert told in " ".join(err.split())


def test_what_says_where_things_are_may_always_be_written(gcnnbench: Any, tmp_path: Any) -> None:
    page = tmp_path / "page.md"
    code, _, _ = gcnnbench("list", "--write", str(page), "--include", "docs/studies/air-rate-half.yaml")
    assert code == 0
    assert page.read_text(encoding="utf-8").startswith("# ")


def test_an_option_from_the_environment_is_not_written(gcnnbench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCNNBENCH_RESULTS", "elsewhere")
    code, _, err = gcnnbench("submit", "folder", "--check")
    assert "says nothing" not in err
    assert code != 0


EMPTY = [
    (["audit", "p4cnn@11", "--exact-at", ""], "--exact-at is empty"),
    (["explain", "quickstart", "p4cnn@12", ""], "METRIC is empty"),
    (["perf", "--compare", "a.json", ""], "--compare is empty"),
    (["status", "--entry="], "--entry is empty"),
    (["probe", "subspace", "results", "--seeds", ""], "--seeds is empty"),
]


@pytest.mark.parametrize(("words", "told"), EMPTY, ids=[told for _, told in EMPTY])
def test_an_empty_value_is_refused_as_from_a_variable_that_is_not_set(
    gcnnbench: Any, words: list[str], told: str
) -> None:
    code, out, err = gcnnbench(*words)
    assert (code, out) == (2, "")
    assert f"{told}: give it a value, or leave it out" in " ".join(err.split())
