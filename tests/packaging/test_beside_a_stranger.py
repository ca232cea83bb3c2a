"""The suite runs beside folders of the user's own that are called as this checkout's folders and rooms are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.house.imports import PACKAGE

OWN = ("benchmark", "models", "datasets", "results", "registry", "runs", "claims", "errors", "nn")

CODE = """
import importlib, torch
from gcnnbench.cards.registry import Registry
from gcnnbench.runs.spec import spec
for name in {own!r}:
    found = importlib.import_module(name)
    assert found.OWNER == "a stranger", f"{{name}} is {{found.__file__}}"
registry = Registry.load()
card = registry.benchmark("quickstart")
network = registry.build("p4cnn@12", card)
assert network(torch.zeros(2, 1, 12, 12)).shape == (2, 10)
assert spec(registry, card, "p4cnn@12")
for name in {own!r}:
    assert importlib.import_module(name).OWNER == "a stranger"
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Python in a stranger's project, whose folder comes first on the path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(PACKAGE.parent))), "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_a_project_with_folders_of_the_same_names_runs_beside_the_suite(tmp_path: Path) -> None:
    for name in OWN:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text('OWNER = "a stranger"\n', encoding="utf-8")

    ended = run(tmp_path, "-c", CODE.format(own=OWN))
    assert ended.returncode == 0, ended.stderr
    listed = run(tmp_path, "-m", "gcnnbench", "list")
    assert listed.returncode == 0, listed.stderr
    assert "quickstart@" in listed.stdout


def test_a_benchmark_py_of_the_users_own_is_theirs(tmp_path: Path) -> None:
    (tmp_path / "benchmark.py").write_text('OWNER = "a stranger"\n', encoding="utf-8")
    ended = run(tmp_path, "-c", "import benchmark, gcnnbench.runs.spec; print(benchmark.OWNER)")
    assert (ended.returncode, ended.stdout) == (0, "a stranger\n"), ended.stderr
