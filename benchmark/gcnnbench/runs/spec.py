"""The spec: what determines the numbers of a benchmark's entry, but for the seed, and the digest of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from gcnnbench.cards.base import Model, split_entry
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.registry import Registry
from gcnnbench.data.copies import UNKNOWN
from gcnnbench.scoring.metrics import METRIC_VERSIONS

NUMERICS_VERSION = 1
"""Bumped when the suite's own code gives other numbers for the same spec: layers, training, data, evaluation."""

NUMERIC_MODE_VERSIONS = {"bf16": 2}
"""Modes whose numbers changed while those of others did not: since 2, bf16 reads the weights anew in every step."""

NETWORK = ("entry", "hyperparameters", "model_version")
"""What of a spec says which network it is."""
SCORING = ("evaluation", "metric_versions")
"""What of a spec no trained weight depends on."""


def spec(registry: Registry, benchmark: BenchmarkCard, entry: str) -> dict[str, Any]:
    """What determines the numbers of one entry of a benchmark, as plain JSON data.

    It holds the digests of the parts of the data that are used, the split, the input, the recipe with its numeric
    mode, the evaluation protocol, the entry with its hyper-parameters and model version, the suite's numerics version
    and the versions of the numeric mode and of each metric definition that were ever changed. It does not hold seeds,
    the list of entries, names of benchmarks, texts, sources, assumptions, the device or the versions of libraries.

    Args:
        registry: holds the entry's and the data set's card.
        benchmark: the benchmark's card.
        entry: `slug@size`; it need not be one of the benchmark's own entries.

    Raises:
        UserError: there is no such model or data set.
    """
    model, dataset = registry.model(entry), registry.dataset(benchmark.dataset)
    shares = (benchmark.split.train, benchmark.split.validation, benchmark.split.test)
    used = sorted({share.part for share in shares if share is not None})
    changed = {name: version for name, version in METRIC_VERSIONS.items() if version > 1}
    mode_version = NUMERIC_MODE_VERSIONS.get(benchmark.recipe.numeric_mode)
    recipe = _plain(benchmark.recipe)
    # False says the same as leaving the key out, so it stays out of the digest.
    recipe["augmentation"] = {key: value for key, value in recipe["augmentation"].items() if value is not False}
    evaluation = _plain(benchmark.evaluation)
    evaluation["seen"] = sorted(evaluation["seen"])
    evaluation = {key: value for key, value in evaluation.items() if value is not False}
    return {
        "data": {part: dataset.parts[part].digest or UNKNOWN for part in used},
        "classes": dataset.classes,
        "split": _plain(benchmark.split),
        "input": _plain(benchmark.input),
        "recipe": recipe,
        "evaluation": evaluation,
        "entry": "@".join(map(str, split_entry(entry))),
        "hyperparameters": _plain(model)["hyperparameters"],
        "model_version": benchmark.version_of(model),
        "numerics_version": NUMERICS_VERSION,
        **({"numeric_mode_version": mode_version} if mode_version else {}),
        **({"metric_versions": changed} if changed else {}),
    }


def spec_digest(spec: Mapping[str, Any]) -> str:
    """The sha256 of a spec's canonical JSON: keys sorted, nothing but ASCII, no blanks, 1.0 written as 1.

    Args:
        spec: what `spec` gives, or the same as read back from a record.

    Returns:
        64 hexadecimal digits.
    """
    text = json.dumps(_canonical(spec), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def training_digests(spec: Mapping[str, Any]) -> tuple[str, str]:
    """Digests of what a spec says of training: of the protocol, and of the network.

    With the benchmark's name and the seed, from which random streams are derived, they determine the trained weights.
    Evaluation and metrics do not, nor do the images that only test: with folds these are of the part that trains.

    Args:
        spec: what `spec` gives, or any plain data that a record has in its place.

    Returns:
        Two times 64 hexadecimal digits.
    """
    split = {role: share for role, share in _object(spec, "split").items() if role != "test"}
    parts = [_object(split, role).get("part") for role in split]
    learning = {
        "split": split,
        "data": {part: digest for part, digest in _object(spec, "data").items() if part in parts},
    }
    protocol = {key: value for key, value in spec.items() if key not in (*NETWORK, *SCORING)}
    return spec_digest({**protocol, **learning}), spec_digest({key: spec.get(key) for key in NETWORK})


def _object(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object under a key; empty where there is none."""
    found = data.get(key)
    return found if isinstance(found, Mapping) else {}


def _plain(card: Model) -> dict[str, Any]:
    return card.model_dump(mode="json", exclude_none=True)


def _canonical(value: Any) -> Any:
    """JSON data in which whole floats are integers, so that 1 and 1.0 are one number."""
    if isinstance(value, Mapping):
        return {key: _canonical(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(inner) for inner in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
