"""A comparison of two entries, for readers and for programs."""

from __future__ import annotations

import json
from dataclasses import asdict

from tabulate import tabulate

from benchmark.leaderboard import cells
from benchmark.leaderboard.compare import Comparison, MetricComparison
from benchmark.statistics import Summary


def comparison_as_json(comparison: Comparison) -> str:
    """One JSON document; differences are fractions."""
    return json.dumps(asdict(comparison), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def comparison_as_markdown(comparison: Comparison) -> str:
    """Tables of the differences across seeds and image by image, in percentage points."""
    one, two = comparison.first, comparison.second
    headings = ["metric", one, two, "difference", "95% (Welch)", "p", "paired p", "detectable"]
    rows = [_row(found) for found in comparison.metrics]
    parts = [
        f"## {comparison.benchmark}: {one} − {two}",
        "Per cent and percentage points; mean ± sample standard deviation (ddof = 1). Paired: by seed.\n"
        "Detectable: the smallest true difference that these seeds find with probability 0.8 at the 5% level.",
        tabulate(rows, headings, "pipe", disable_numparse=True, colalign=["left"] + ["right"] * 7),
    ]
    if comparison.images:
        table = [
            [found.seed, found.first_only, found.second_only, cells.probability(found.p)] for found in comparison.images
        ]
        parts.append(
            "Upright images that one network gets right and the other of the same seed does not (McNemar, exact):"
        )
        parts.append(tabulate(table, ["seed", f"only {one}", f"only {two}", "p"], "pipe", disable_numparse=True))
    if comparison.bootstrap:
        parts.append(
            f"Mean upright difference had other test images been drawn, the same networks: "
            f"{cells.interval(comparison.bootstrap)} (95%, paired bootstrap)."
        )
    if comparison.gaps:
        parts.append("\n".join(f"- {gap}" for gap in comparison.gaps))
    return "\n\n".join(parts) + "\n"


def _row(found: MetricComparison) -> list[str]:
    detectable = cells.NOTHING if found.detectable is None else f"{100 * found.detectable:.2f}"
    return [
        found.metric.removeprefix("accuracy."),
        _with_n(found.first),
        _with_n(found.second),
        cells.points(found.welch.difference),
        cells.interval(found.welch.interval),
        cells.probability(found.welch.p),
        cells.probability(found.paired.p) if found.paired else cells.NOTHING,
        detectable,
    ]


def _with_n(found: Summary) -> str:
    return f"{cells.percent(found)} (n = {found.n})"
