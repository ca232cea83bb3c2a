"""The division of networks that come trained: their weights are scored by a benchmark's protocol, never trained here.

<results>/<benchmark@version>/<entry>/weights-only.json          what was measured
                                      weights-only.safetensors   the weights, if at most 200 kB
Nothing is known of how such weights came about but what their authors declare, so they share no ranking with records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import StringConstraints

from gcnnbench.cards.base import EntryName, Model
from gcnnbench.cards.values import FullName, NotNegative, OutsideLine, OutsideText, PlainData, Positive, Time
from gcnnbench.equivariance.results import EquivarianceState, Exactness
from gcnnbench.plain_files import read_plain
from gcnnbench.runs.files import blob
from gcnnbench.runs.record import Outputs, Weights
from gcnnbench.scoring.metrics import Counts
from gcnnbench.strict_json import parse_model

STEM = "weights-only"


class WeightsOnly(Model):
    """What one network that came trained scored on one benchmark.

    `protocol` is the spec of `gcnnbench.runs.spec` without the recipe, which was not followed; `trained_on` is what its
    authors declare.
    """

    schema_version: Literal[1]
    benchmark: FullName
    entry: EntryName
    protocol: PlainData
    trained_on: Annotated[OutsideText, StringConstraints(min_length=1)]
    metrics: dict[OutsideLine, NotNegative | None]
    counts: Counts
    equivariance: EquivarianceState
    exactness: Exactness
    parameters: Positive
    macs: Positive
    environment: dict[OutsideLine, OutsideLine]
    scored: Time
    weights: Weights
    outputs: Outputs
    probes: PlainData | None = None
    """What was read from the network, by probe and by module; null where the benchmark asks for nothing."""


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
            found = parse_model(read_plain(path), WeightsOnly)
        except OSError as error:
            yield place, f"cannot be read: {error.strerror}"
        except ValueError as error:
            yield place, f"no score of weights: {error}"
        else:
            right = place.parts[:2] == (found.benchmark, found.entry)
            yield place, found if right else f"says that it is {found.benchmark} {found.entry}"
