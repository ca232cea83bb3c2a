"""Two entries of one benchmark, compared: across seeds, within seeds, and image by image."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from benchmark.cards.registry import Registry
from benchmark.cards.schema import BenchmarkCard
from benchmark.errors import UserError
from benchmark.leaderboard.frame import excluded
from benchmark.leaderboard.reading import Run, read_results
from benchmark.runs.spec import spec, spec_digest
from benchmark.statistics import Difference, Summary, detectable, mcnemar, paired, paired_bootstrap, summary, welch

SKIPPED = {"invariance_error"}
"""Metrics that span many orders of magnitude, for which a difference of means says nothing."""


@dataclass(frozen=True)
class MetricComparison:
    """First − second in one metric. `detectable` is the smallest true difference found with probability 0.8."""

    metric: str
    first: Summary
    second: Summary
    welch: Difference
    paired: Difference | None
    detectable: float | None


@dataclass(frozen=True)
class ImageComparison:
    """The upright images that only one of two networks of the same seed gets right, with McNemar's exact p."""

    seed: int
    first_only: int
    second_only: int
    p: float


@dataclass(frozen=True)
class Comparison:
    """Two entries of one benchmark.

    `bootstrap` is the 95% interval of the mean upright difference over the seeds in `images`, when other test images
    were drawn; `gaps` says what could not be compared, and why.
    """

    benchmark: str
    first: str
    second: str
    metrics: tuple[MetricComparison, ...]
    images: tuple[ImageComparison, ...]
    bootstrap: tuple[float, float] | None
    gaps: tuple[str, ...]


def locate(registry: Registry, name: str) -> tuple[BenchmarkCard, str]:
    """The benchmark and the entry that `BENCHMARK/SLUG@SIZE` names, as in `mnist-upright/p4cnn@28`.

    Raises:
        UserError: the name has another form, or names no entry of a benchmark.
    """
    benchmark, slash, entry = name.rpartition("/")
    if not slash:
        raise UserError(f"{name!r} names no entry of a benchmark: write BENCHMARK/SLUG@SIZE, as in quickstart/p4cnn@12")
    card = registry.benchmark(benchmark)
    if entry not in card.entries:
        raise UserError(f"{entry} is no entry of {card.full_name}: one of {', '.join(card.entries)}")
    return card, entry


def compare(registry: Registry, results: Path, first: str, second: str) -> Comparison:
    """Compare two entries of one benchmark by the records that count, `BENCHMARK/SLUG@SIZE` each.

    Raises:
        UserError: a name is wrong, the benchmarks differ, or one of the entries has no official record.
    """
    (card, one), (other, two) = locate(registry, first), locate(registry, second)
    if card != other:
        raise UserError(f"{first} and {second} are of two benchmarks; numbers compare within one only")
    if one == two:
        others = ", ".join(entry for entry in card.entries if entry != one)
        raise UserError(f"{one} is compared with itself; name another entry: {others}")
    found = read_results(results, {card.full_name: card})
    expected = {(card.full_name, entry): spec_digest(spec(registry, card, entry)) for entry in card.entries}
    counted = [run for run in found.runs if run.benchmark == card.full_name and not excluded(run, card, expected)[0]]
    sides = [{run.seed: run for run in counted if run.entry == entry} for entry in (one, two)]
    for entry, side in zip((one, two), sides, strict=True):
        if not side:
            raise UserError(
                f"{entry} has no official record of {card.full_name}: gcnnbench run {card.name} --entry {entry}"
            )
    return compare_runs(card.full_name, sides[0], sides[1], results)


def compare_runs(benchmark: str, first: Mapping[int, Run], second: Mapping[int, Run], results: Path) -> Comparison:
    """Compare the runs of two entries, each by seed; per-image outputs are read from the results directory."""
    modes = {run.numeric_mode for side in (first, second) for run in side.values()}
    if len(modes) > 1:
        raise UserError(f"the records are of several numeric modes ({', '.join(sorted(modes))}), which share no mean")
    seeds = sorted(set(first) & set(second))
    one, two = next(iter(first.values())), next(iter(second.values()))
    metrics = [_metric(name, first, second, seeds) for name in one.metrics if name not in SKIPPED]
    gaps = [] if seeds else ["no seed is common to both, so nothing is paired"]
    images, differences = [], []
    for seed in seeds:
        outputs = [_upright(results, run) for run in (first[seed], second[seed])]
        problem = next((found for found in outputs if isinstance(found, str)), None)
        if problem is None:
            (labels, right), (other_labels, other_right) = (found for found in outputs if not isinstance(found, str))
            if np.array_equal(labels, other_labels):
                only = int((right & ~other_right).sum()), int((other_right & ~right).sum())
                images.append(ImageComparison(seed, *only, mcnemar(*only)))
                differences.append(right.astype(np.float64) - other_right)
                continue
            problem = "their test images are not the same"
        gaps.append(f"seed {seed} not compared image by image: {problem}")
    bootstrap = paired_bootstrap(np.mean(differences, axis=0), seed=0) if differences else None
    made = tuple(found for found in metrics if found is not None)
    return Comparison(benchmark, one.entry, two.entry, made, tuple(images), bootstrap, tuple(gaps))


def _metric(
    name: str, first: Mapping[int, Run], second: Mapping[int, Run], seeds: Sequence[int]
) -> MetricComparison | None:
    """The comparison of one metric; null where a run lacks it."""
    sides = [[run.metrics.get(name) for run in side.values()] for side in (first, second)]
    values = [[value for value in side if value is not None] for side in sides]
    if any(len(found) != len(side) for found, side in zip(values, sides, strict=True)):
        return None
    one, two = summary(values[0]), summary(values[1])
    common = [(first[seed].metrics[name], second[seed].metrics[name]) for seed in seeds]
    differences = [here - there for here, there in common if here is not None and there is not None]
    return MetricComparison(
        name, one, two, welch(one, two), paired(differences) if differences else None, detectable(one, two)
    )


def _upright(results: Path, run: Run) -> tuple[NDArray[np.int64], NDArray[np.bool_]] | str:
    """Labels and whether each image was right upright, (images,) both; or in words why that cannot be known."""
    if run.outputs is None:
        return f"{run.entry} kept no per-image outputs"
    path = results / "outputs" / f"{run.outputs}.safetensors"
    if not path.exists():
        return f"the outputs of {run.entry} are not in {path.parent}; they are kept outside git"
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != run.outputs:
        return f"{path} is not the file that the record of {run.entry} names"
    tensors = load(content)
    labels, predicted = tensors["labels"], tensors["logits"][0].argmax(axis=-1)  # the identity comes first
    return labels, predicted == labels
