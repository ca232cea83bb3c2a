"""The weights-only table: networks submitted with trained weights, scored and not ranked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from gcnnbench import formatting
from gcnnbench.cards.registry import Registry
from gcnnbench.layout import Table
from gcnnbench.leaderboard.board import ACCURACIES, WeightsOnlyRow, heading
from gcnnbench.leaderboard.reading import decided
from gcnnbench.runs.measured import Measurement
from gcnnbench.runs.spec import spec
from gcnnbench.runs.weights_only import WeightsOnly, protocol_of, read_weights_only
from gcnnbench.scoring.metrics import metrics

WEIGHTS_ONLY_CAPTION = (
    "Weights-only: networks that came trained, scored by the same protocol, never trained here and never ranked; one "
    "network each, accuracies in per cent."
)


def weights_only_rows(
    registry: Registry, results: Path, measurements: Mapping[tuple[str, str], Measurement]
) -> tuple[dict[str, tuple[WeightsOnlyRow, ...]], list[str]]:
    """The networks that came trained, by benchmark, in the order of their names; and what is wrong with the others.

    Args:
        registry: holds the current protocols.
        results: the results directory.
        measurements: who measured what, by (benchmark@version, entry).
    """
    found: dict[str, list[WeightsOnlyRow]] = defaultdict(list)
    findings = []
    for place, score in read_weights_only(results):
        problem = score if isinstance(score, str) else _problem(registry, score)
        if isinstance(score, str) or problem:
            findings.append(f"{place}: {problem}")
            continue
        card = registry.benchmark(score.benchmark)
        measurement = measurements.get((score.benchmark, score.entry))
        found[score.benchmark].append(
            WeightsOnlyRow(
                entry=score.entry,
                equivariance=decided(score.exactness)[0],
                metrics=metrics(
                    score.counts, card.evaluation.seen, invariance_error=score.equivariance.invariance_error
                ),
                parameters=score.parameters,
                trained_on=score.trained_on,
                measured=measurement.measured.get(place.name) if measurement else None,
            )
        )
    return {benchmark: tuple(networks) for benchmark, networks in found.items()}, findings


def _problem(registry: Registry, score: WeightsOnly) -> str:
    """Why a score enters no table; empty where it does."""
    card = registry.card_of(score.benchmark)
    if card is None or card.full_name != score.benchmark:
        return f"{score.benchmark} is not a registered benchmark of that version"
    if score.entry.partition("@")[0] not in registry.models:
        return f"there is no model {score.entry.partition('@')[0]}"
    if protocol_of(spec(registry, card, score.entry)) != score.protocol:
        return "stale: scored by another protocol"
    return ""


def weights_only_table(networks: Sequence[WeightsOnlyRow]) -> Table:
    """Headings, rows and alignment."""
    headings = ["entry", "equivariance", "parameters", *map(heading, ACCURACIES)]
    rows = [
        [
            network.entry,
            network.equivariance,
            formatting.count(network.parameters),
            *map(formatting.share, _accuracies(network)),
        ]
        for network in networks
    ]
    return headings, rows, "llr" + "r" * len(ACCURACIES)


def _accuracies(network: WeightsOnlyRow) -> list[float | None]:
    return [network.metrics.get(name) for name in ACCURACIES]
