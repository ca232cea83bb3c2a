"""The division of networks that come trained: their weights are scored by a benchmark's protocol, never trained here.

<results>/<benchmark@version>/<entry>/weights-only.json          what was measured
                                      weights-only.safetensors   the weights, if at most 200 kB
Nothing is known of how such weights came about but what their authors declare, so they share no ranking with records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from benchmark.cards.schema import Model, Positive, Text
from benchmark.equivariance.results import EquivarianceState, Exactness
from benchmark.metrics import Counts
from benchmark.runs.files import blob
from benchmark.runs.record import Outputs, Weights

STEM = "weights-only"


class WeightsOnly(Model):
    """What one network that came trained scored on one benchmark.

    `protocol` is the spec of `benchmark.runs.spec` without the recipe, which was not followed; `trained_on` is what its
    authors declare.
    """

    schema_version: Literal[1]
    benchmark: str
    entry: str
    protocol: dict[str, Any]
    trained_on: Text
    metrics: dict[str, float | None]
    counts: Counts
    equivariance: EquivarianceState
    exactness: Exactness
    parameters: Positive
    macs: Positive
    environment: dict[str, str]
    scored: str
    weights: Weights
    outputs: Outputs


def protocol_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec without the recipe."""
    return {key: value for key, value in spec.items() if key != "recipe"}


def weights_only_path(results: Path, benchmark: str, entry: str) -> Path:
    """Where the score of such a network is kept."""
    return results / benchmark / entry / f"{STEM}.json"


def weights_of(results: Path, found: WeightsOnly) -> Path:
    """Where its weights are kept."""
    path = weights_only_path(results, found.benchmark, found.entry)
    return path.with_suffix(".safetensors") if found.weights.committed else blob(results, found.weights.sha256)


def read_weights_only(results: Path) -> Iterator[tuple[Path, WeightsOnly | str]]:
    """Every such score below a results directory with its place; text where it cannot be used, and says why."""
    for path in sorted(results.glob(f"*@*/*@*/{STEM}.json")):
        place = path.relative_to(results)
        try:
            found = WeightsOnly.model_validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            yield place, f"no score of weights: {'.'.join(map(str, first['loc'])) or 'the whole file'}: {first['msg']}"
        else:
            right = place.parts[:2] == (found.benchmark, found.entry)
            yield place, found if right else f"says that it is {found.benchmark} {found.entry}"
