"""The benchmark of the benchmark under pytest-benchmark: `tox -e perf` prints every section's ratios.

The work is that of `gcnnbench perf`: candidates timed in turn, ratios of medians. pytest-benchmark's own table says how
long each section took; the ratios stand in its JSON under `extra_info` (`--benchmark-json FILE`).
"""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gcnnbench.perf.suite import SECTIONS, measure
from gcnnbench.perf.text import report_as_markdown


@pytest.mark.parametrize("section", SECTIONS)
def test_section(benchmark: BenchmarkFixture, section: str, capsys: pytest.CaptureFixture[str]) -> None:
    def measured() -> None:
        report = measure([section], device="auto", threads=1, seconds=8.0, tell=lambda _: None)
        benchmark.extra_info["report"] = report.model_dump(mode="json")
        with capsys.disabled():
            print(f"\n{report_as_markdown(report)}")  # noqa: T201

    benchmark.pedantic(measured, rounds=1)  # type: ignore[no-untyped-call]
    comparisons = benchmark.extra_info["report"]["comparisons"]
    assert comparisons
    assert all(row["seconds"] or row["why"] for comparison in comparisons for row in comparison["rows"])
