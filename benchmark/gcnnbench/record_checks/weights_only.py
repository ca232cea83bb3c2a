"""Scores of networks that came trained, recomputed as records are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from gcnnbench.cards.registry import Registry
from gcnnbench.plain_files import read_plain
from gcnnbench.runs.files import WEIGHTS_BYTES
from gcnnbench.runs.self_checks import other_conditions, other_metrics, other_probes
from gcnnbench.runs.spec import spec
from gcnnbench.runs.weights_only import WeightsOnly, protocol_of, read_weights_only, weights_of
from gcnnbench.scoring.metrics import inconsistencies, metrics


def weights_only_findings(registry: Registry, results: Path) -> Iterator[tuple[str, str]]:
    """The place of each score that is refused, and why.

    Args:
        registry: holds the current protocols.
        results: the results directory.
    """
    for place, found in read_weights_only(results):
        wrong = [found] if isinstance(found, str) else list(_findings(registry, results, found))
        yield from ((place.as_posix(), what) for what in wrong)


def _findings(registry: Registry, results: Path, found: WeightsOnly) -> Iterator[str]:
    card = registry.benchmarks.get(found.benchmark.partition("@")[0])
    if card is None or card.full_name != found.benchmark or found.entry.partition("@")[0] not in registry.models:
        yield "of a benchmark or a model that is not registered"
        return
    asked = protocol_of(spec(registry, card, found.entry))
    if asked != found.protocol:
        yield f"protocol: not the one that {found.benchmark} has for {found.entry}"
    if contradictions := inconsistencies(found.counts):
        yield from contradictions
        return
    yield from other_conditions(asked, found.counts, whole=True)
    try:
        error = found.equivariance.invariance_error
        made = metrics(found.counts, card.evaluation.seen, invariance_error=error)
    except ValueError as problem:
        yield f"counts: {problem}"
        return
    yield from other_metrics(found.metrics, made)
    yield from other_probes(card.evaluation.probes, {"probes": found.probes})
    path = weights_of(results, found)
    try:
        content = read_plain(path, WEIGHTS_BYTES) if path.exists() else None
    except OSError as error:
        yield f"weights: {path.name} cannot be read: {error.strerror}"
        return
    if content is not None and hashlib.sha256(content).hexdigest() != found.weights.sha256:
        yield f"weights: {path.name} is not the file whose sha256 is stated"
    elif found.weights.committed and content is None:
        yield f"weights: {path.name} is missing"
