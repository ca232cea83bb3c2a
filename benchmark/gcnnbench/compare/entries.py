"""Compares two entries of a benchmark: across seeds, within seeds, and image by image."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.registry import Registry
from gcnnbench.data.copies import on_copies
from gcnnbench.errors import UserError
from gcnnbench.formatting import listed
from gcnnbench.leaderboard.frame import current_digests, excluded
from gcnnbench.leaderboard.notes import SEPARATED, SINGLE, UNPAIRED
from gcnnbench.leaderboard.reading import Run, read_results
from gcnnbench.plain_files import read_plain
from gcnnbench.runs.files import OUTPUTS_BYTES, blob
from gcnnbench.statistics import Difference, Summary, detectable, mcnemar, paired, paired_bootstrap, summary, welch

SKIPPED = {"invariance_error"}
"""Metrics that span many orders of magnitude, for which a difference of means says nothing."""


@dataclass(frozen=True)
class Side:
    """What is compared: runs by seed under a name, and the results directory where their outputs may be."""

    name: str
    runs: Mapping[int, Run]
    results: Path


@dataclass(frozen=True)
class MetricComparison:
    """First − second in one metric, across seeds and paired by seed.

    `detectable` is the smallest true difference found with probability 0.8, by Welch's test; under cross-testing by the
    paired one, which alone is a test there.
    """

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
    """Two samples of runs of one benchmark, by the names of the two.

    `bootstrap` is the 95% interval of the mean upright difference over the seeds in `images`, when other test images
    were drawn; `gaps` says what could not be compared, and why. `cross_tested`: each seed is tested on its own fold.
    """

    benchmark: str
    first: str
    second: str
    metrics: tuple[MetricComparison, ...]
    images: tuple[ImageComparison, ...]
    bootstrap: tuple[float, float] | None
    gaps: tuple[str, ...]
    cross_tested: bool = False


def locate(registry: Registry, name: str) -> tuple[BenchmarkCard, str]:
    """The benchmark and the entry that `BENCHMARK/SLUG@SIZE` names, as in `mnist-upright/p4cnn@28`.

    Raises:
        UserError: the name has another form, or names no entry of a benchmark.
    """
    benchmark, slash, entry = name.rpartition("/")
    if not slash:
        raise UserError(f"{name!r} names no entry of a benchmark: write BENCHMARK/SLUG@SIZE, as in quickstart/p4cnn@12")
    (card,) = registry.chosen([benchmark], [entry])
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
    registry = on_copies(registry, results)
    found = read_results(results, {card.full_name: card})
    expected = current_digests(registry, [card])
    counted = [run for run in found.runs if run.benchmark == card.full_name and not excluded(run, card, expected)[0]]
    sides = [Side(name, {run.seed: run for run in counted if run.entry == name}, results) for name in (one, two)]
    for side in sides:
        if not side.runs:
            run = card.how_to_run(f" --entry {side.name}")
            raise UserError(f"{side.name} has no official record of {card.full_name}: {run}")
    _one_mode(run for side in sides for run in side.runs.values())
    return compare_runs(card.full_name, *sides, cross_tested=card.split.folds is not None)


def compare_runs(benchmark: str, first: Side, second: Side, *, cross_tested: bool) -> Comparison:
    """Compare two samples of runs; per-image outputs are read where they are kept.

    Raises:
        UserError: the runs of one side are of several numeric modes, which share no mean.
    """
    for side in (first, second):
        _one_mode(side.runs.values())
    seeds = sorted(set(first.runs) & set(second.runs))
    names = [name for name in next(iter(first.runs.values())).metrics if name not in SKIPPED]
    metrics = [_metric(name, first.runs, second.runs, seeds, cross_tested) for name in names]
    images, differences, labels = [], [], []
    problems: dict[str, list[int]] = defaultdict(list)
    for seed in seeds:
        found = _image_by_image(seed, first, second)
        if isinstance(found, str):
            problems[found].append(seed)
        else:
            images.append(found[0])
            differences.append(found[1])
            labels.append(found[2])
    same = not cross_tested and all(np.array_equal(labels[0], other) for other in labels)
    bootstrap = paired_bootstrap(np.mean(differences, axis=0), seed=0) if differences and same else None
    gaps = [] if seeds else ["no seed is common to both, so nothing is paired"]
    gaps += [SINGLE] if 1 in (len(first.runs), len(second.runs)) else []
    across = [seed for seed in seeds if first.runs[seed].machine.device != second.runs[seed].machine.device]
    if across:
        told = SEPARATED if cross_tested else f"{UNPAIRED}; {SEPARATED}"
        gaps.append(f"{listed(tuple(across))} ran on different kinds of device: {told}")
    gaps += [f"{listed(tuple(at))} not compared image by image: {problem}" for problem, at in problems.items()]
    if differences and bootstrap is None:
        gaps.append("no bootstrap: the seeds are tested on different images")
    made = tuple(found for found in metrics if found is not None)
    return Comparison(benchmark, first.name, second.name, made, tuple(images), bootstrap, tuple(gaps), cross_tested)


def _one_mode(runs: Iterable[Run]) -> None:
    modes = sorted({run.numeric_mode for run in runs})
    if len(modes) > 1:
        raise UserError(f"the records are of several numeric modes ({', '.join(modes)}), which share no mean")


def _image_by_image(
    seed: int, first: Side, second: Side
) -> tuple[ImageComparison, NDArray[np.float64], NDArray[np.int64]] | str:
    """McNemar's test of one seed, first minus second and the label of each image (images,); or why there is none."""
    outputs = [_upright(side, seed) for side in (first, second)]
    for found in outputs:
        if isinstance(found, str):
            return found
    (labels, right), (other_labels, other_right) = (found for found in outputs if not isinstance(found, str))
    if not np.array_equal(labels, other_labels):
        return "their test images are not the same"
    only = int((right & ~other_right).sum()), int((other_right & ~right).sum())
    return ImageComparison(seed, *only, mcnemar(*only)), right.astype(np.float64) - other_right, labels


def _metric(
    name: str, first: Mapping[int, Run], second: Mapping[int, Run], seeds: Sequence[int], cross_tested: bool
) -> MetricComparison | None:
    """The comparison of one metric; null where a run lacks it."""
    sides = [[run.metrics.get(name) for run in side.values()] for side in (first, second)]
    values = [[value for value in side if value is not None] for side in sides]
    if any(len(found) != len(side) for found, side in zip(values, sides, strict=True)):
        return None
    one, two = summary(values[0]), summary(values[1])
    common = [(first[seed].metrics[name], second[seed].metrics[name]) for seed in seeds]
    differences = [here - there for here, there in common if here is not None and there is not None]
    across, within = welch(one, two), paired(differences) if differences else None
    test = within if cross_tested else across
    return MetricComparison(name, one, two, across, within, detectable(test) if test else None)


def _upright(side: Side, seed: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]] | str:
    """Labels and whether each image was right upright, (images,) both; or in words why that cannot be known."""
    run = side.runs[seed]
    if run.outputs is None:
        return f"{side.name} kept no per-image outputs"
    path = blob(side.results, run.outputs)
    if not path.exists():
        return f"the outputs of {side.name} are not in {path.parent}; they are kept outside git"
    try:
        content = read_plain(path, OUTPUTS_BYTES)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    if hashlib.sha256(content).hexdigest() != run.outputs:
        return f"{path} is not the file that the record of {side.name} names"
    tensors = load(content)
    labels, predicted = tensors["labels"], tensors["logits"][0].argmax(axis=-1)  # the identity comes first
    return labels, predicted == labels
