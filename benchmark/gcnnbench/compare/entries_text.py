"""A comparison of two samples of runs, for readers and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from gcnnbench import formatting
from gcnnbench.compare.entries import Comparison, MetricComparison
from gcnnbench.layout import folded, pipes


def comparison_as_json(comparison: Comparison) -> str:
    """One JSON document; differences are fractions."""
    return json.dumps(asdict(comparison), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def comparison_as_markdown(comparison: Comparison) -> str:
    """Tables of the differences across seeds and image by image, in percentage points."""
    parts = [f"## {comparison.benchmark}: {comparison.first} − {comparison.second}", CAPTION]
    return "\n\n".join([*parts, *tables(comparison)]) + "\n"


CAPTION = folded(
    "Per cent and percentage points; mean ± sample standard deviation (ddof = 1) over n seeds. "
    "Diff.: first − second. Paired: by seed. "
    "Detectable: the smallest true difference that these seeds find with probability 0.8 at the 5% level."
)


def tables(comparison: Comparison) -> Iterator[str]:
    """The differences across seeds and image by image, and what could not be compared."""
    one, two = comparison.metrics[0].first, comparison.metrics[0].second
    yield folded(f"First: {comparison.first}, n = {one.n}. Second: {comparison.second}, n = {two.n}.")
    headings = ["metric", "first", "second", "diff.", "95% (Welch)", "p", "paired p", "detectable"]
    yield pipes((headings, [_row(found) for found in comparison.metrics], "l" + "r" * 7))
    if comparison.images:
        rows = [
            [str(found.seed), str(found.first_only), str(found.second_only), formatting.probability(found.p)]
            for found in comparison.images
        ]
        yield "Upright images that one network gets right and the other of the same seed does not (McNemar, exact):"
        yield pipes((["seed", "only first", "only second", "p"], rows, "rrrr"))
    if comparison.bootstrap:
        yield folded(
            "Mean upright difference had other test images been drawn, the same networks: "
            f"{formatting.interval(comparison.bootstrap)} (95%, paired bootstrap)."
        )
    if comparison.gaps:
        yield "\n".join(folded(f"- {gap}", indent="  ") for gap in comparison.gaps)


def _row(found: MetricComparison) -> list[str]:
    return [
        found.metric.removeprefix("accuracy."),
        formatting.percent(found.first, tight=True),
        formatting.percent(found.second, tight=True),
        formatting.points(found.welch.difference),
        formatting.interval(found.welch.interval),
        formatting.probability(found.welch.p),
        formatting.probability(found.paired.p) if found.paired else formatting.NOTHING,
        formatting.share(found.detectable),
    ]
