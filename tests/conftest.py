"""What all tests share: the command line, options, and when a test that is skipped for want of a GPU has failed."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

os.environ.pop("COLUMNS", None)  # pytest-xdist gives its workers 80, and what verbs print would follow


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--mutants", type=int, default=12, help="how many mutants a corpus of mutations makes")
    parser.addoption("--soak", action="store_true", help="all kills, damages and mutations, not a sample of them")
    parser.addoption("--engines-required", action="store_true", help="an engine that is not installed counts as failed")
    parser.addoption("--gpu-required", action="store_true", help="a skipped test marked `gpu` counts as failed")


@pytest.fixture
def gcnnbench(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command line in this process and gives (exit code, stdout, stderr)."""
    from gcnnbench.cli import main

    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ending:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(ending.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def mutants(request: pytest.FixtureRequest) -> int:
    """How many mutants a corpus makes: a small sample by default, hundreds in `tox -e hostile`."""
    return int(request.config.getoption("--mutants"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.get_closest_marker("gpu") and item.config.getoption("--gpu-required"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, but a GPU is required: {call.excinfo}"
    return report
