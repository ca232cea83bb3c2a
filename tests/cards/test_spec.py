"""The spec digest changes with everything that determines a number, and with nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gcnnbench.cards.base import Model
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.dataset_card import DatasetCard
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cards.registry import Registry
from gcnnbench.cards.source import parse_source
from gcnnbench.data.copies import UNKNOWN, on_copies, record_copy
from gcnnbench.errors import UserError
from gcnnbench.runs import spec as spec_module
from gcnnbench.runs.spec import spec, spec_digest
from gcnnbench.scoring.metrics import METRIC_VERSIONS

TRIAL = (Path(__file__).parent / "right" / "trial.yaml").read_text(encoding="utf-8")
ENTRY = "p4cnn@28"
Card = dict[str, Any]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load()


def card_of(text: str) -> BenchmarkCard:
    return BenchmarkCard.model_validate_json(json.dumps(parse_source(text).data))


def digest(registry: Registry, text: str = TRIAL, entry: str = ENTRY) -> str:
    return spec_digest(spec(registry, card_of(text), entry))


def with_model(registry: Registry, change: Callable[[Card], None], name: str = "p4cnn") -> Registry:
    return replace(registry, models={**registry.models, name: changed(registry.models[name], ModelCard, change)})


def with_dataset(registry: Registry, change: Callable[[Card], None], name: str = "digits") -> Registry:
    return replace(
        registry, datasets={**registry.datasets, name: changed(registry.datasets[name], DatasetCard, change)}
    )


def changed(card: Model, kind: type[Any], change: Callable[[Card], None]) -> Any:
    data = card.model_dump(mode="json")
    change(data)
    return kind.model_validate_json(json.dumps(data))


DECIDING = [
    ("images: 1000", "images: 999"),
    ("images: 200", "images: 201"),
    ("test: {part: all}", "test: {part: all, images: 500}"),
    ("shuffle: seed", "shuffle: fixed"),
    ("shuffle: seed", "shuffle: seed\n  folds: 5"),
    ("channels: 1\n  resize: pillow-bilinear\n  mean: [0.3]\n  std: [0.4]",
     "channels: 2\n  resize: pillow-bilinear\n  mean: [0.3, 0.3]\n  std: [0.4, 0.4]"),
    ("resize: pillow-bilinear", "resize: none"),
    ("resize: pillow-bilinear", "resize: none\n  fitted: standardised"),
    ("resize: pillow-bilinear", "resize: pillow-bilinear\n  source_size: 48"),
    ("mean: [0.3]", "mean: [0.31]"),
    ("std: [0.4]", "std: [0.41]"),
    ("epochs: 5", "epochs: 6"),
    ("batch_size: 64", "batch_size: 32"),
    ("drop_last: false", "drop_last: true"),
    ("name: sgd, learning_rate: 0.05, momentum: 0.9", "name: adam, learning_rate: 0.05"),
    ("learning_rate: 0.05", "learning_rate: 0.051"),
    ("momentum: 0.9", "momentum: 0.9, nesterov: true"),
    ("momentum: 0.9", "momentum: 0.9, weight_decay: 1.0e-5"),
    ("momentum: 0.9", "momentum: 0.9, norm_biases: {learning_rate: 0.1, weight_decay: 0.0}"),
    ("epochs: [2, 4]", "epochs: [2, 3]"),
    ("name: multi-step, epochs: [2, 4], factor: 0.1", "name: triangular, start: 0.2, rise: 0.3, end: 0.1"),
    ("  augmentation:", "  label_smoothing: 0.1\n  augmentation:"),
    ("  augmentation:", "  lookahead: {every: 5, decay: 0.95}\n  augmentation:"),
    ("    rotation:", "    crop_padding: 2\n    crop_border: reflected\n    rotation:"),
    ("    rotation:", "    alternating_flip: true\n    rotation:"),
    ("factor: 0.1", "factor: 0.2"),
    ("    rotation:", "    quarter_turns: true\n    rotation:"),
    ("low: 0.0", "low: 1.0"),
    ("per: batch", "per: image"),
    ("value: 0.0, scale: after-normalisation", "value: 0.5, scale: after-normalisation"),
    ("scale: after-normalisation", "scale: before-normalisation"),
    ("tested_model: best-validation", "tested_model: last"),
    ("tested_model: best-validation", "tested_model: best-validation\n  norm_statistics: re-estimated"),
    ("numeric_mode: fp32", "numeric_mode: tf32"),
    ("group: p4\n", "group: p4m\n"),
    ("seen: [upright, rot90]", "seen: [upright]"),
    ("step: 10", "step: 15"),
    ("value: 0.0, scale: before-normalisation", "value: 0.1, scale: before-normalisation"),
    ("equivariance_images: 128", "equivariance_images: 64"),
    ("equivariance_images: 128", "equivariance_images: 128\n  auc: true"),
    ("equivariance_images: 128", "equivariance_images: 128\n  labels: {rot180: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}"),
    ("equivariance_images: 128", "equivariance_images: 128\n  probes: [degree]"),
    ("numeric_mode: fp32", "numeric_mode: fp32\n  phases: [{roles: {degree: {learning_rate: 0.1}}}]"),
    ("numeric_mode: fp32", "numeric_mode: fp32\n  phases: [{epochs: 2}, {trains: [degree]}]"),
]  # fmt: skip

DECORATING = [
    ("title: A trial", "title: Another title"),
    ("summary: Digits", "summary: More digits"),
    ("name: trial", "name: another-trial"),
    ("version: 1", "version: 2"),
    ('where: "section 4"', 'where: "section 5"'),
    ("key: edixhoven2023", "key: cohen2016"),
    ("entries: [p4cnn@28, z2cnn@28]", "entries: [p4cnn@28]"),
    ("seeds: 3", "seeds: 30"),
    ("seeds: 3", "seeds: 3\npurpose: inference"),
    ("rank_by: accuracy.orbit", "rank_by: accuracy.upright"),
    ("nobody said otherwise", "somebody said otherwise"),
    ("seeds: 3", "seeds: 3\ndeviations: [one or two]"),
    ("seeds: 3", "# a comment\nseeds: 3"),
    ("low: 0.0, high: 360.0", "high: 360.0, low: 0.0"),
    ("high: 360.0", "high: 360"),
    ("seen: [upright, rot90]", "seen: [rot90, upright]"),
    ("    rotation:", "    crop_padding: null\n    horizontal_flip: false\n    rotation:"),
    ("    rotation:", "    crop_border: null\n    alternating_flip: false\n    rotation:"),
    ("  augmentation:", "  label_smoothing: null\n  lookahead: null\n  augmentation:"),
    ("momentum: 0.9", "momentum: 0.9, norm_biases: null"),
    ("numeric_mode: fp32", "numeric_mode: fp32\n  phases: null"),
    ("equivariance_images: 128", "equivariance_images: 128\n  labels: null\n  probes: null"),
    ("equivariance_images: 128", "equivariance_images: 128\n  auc: false"),
    ("momentum: 0.9", "momentum: 0.9, nesterov: false"),
    ("test: {part: all}", "test: {part: all, images: null}"),
    ("shuffle: seed", "shuffle: seed\n  folds: null"),
]


@pytest.mark.parametrize(("old", "new"), DECIDING)
def test_what_decides_a_number_changes_the_digest(registry: Registry, old: str, new: str) -> None:
    assert TRIAL.count(old) == 1
    assert digest(registry, TRIAL.replace(old, new)) != digest(registry)


@pytest.mark.parametrize(("old", "new"), DECORATING)
def test_what_decides_nothing_leaves_the_digest(registry: Registry, old: str, new: str) -> None:
    assert TRIAL.count(old) == 1
    assert digest(registry, TRIAL.replace(old, new)) == digest(registry)


def test_every_field_of_the_protocol_is_tried() -> None:
    """A field added to the protocol later must be tried above, too."""

    def fields(node: Any, definitions: dict[str, Any]) -> set[str]:
        if isinstance(node, list):
            return set().union(*(fields(item, definitions) for item in node))
        if not isinstance(node, dict):
            return set()
        if "$ref" in node:
            node = definitions[node["$ref"].rsplit("/", 1)[-1]]
        own = set(node.get("properties", {}))
        return own | set().union(set(), *(fields(value, definitions) for value in node.values()))

    schema = BenchmarkCard.model_json_schema()
    protocol = [schema["properties"][name] for name in ("split", "input", "recipe", "evaluation")]
    tried = " ".join(f"{old} {new}" for old, new in [*DECIDING, *DECORATING])
    left_out = {name for name in fields(protocol, schema["$defs"]) if f"{name}:" not in tried}
    assert left_out <= {
        "train", "validation", "optimiser", "schedule", "augmentation", "angle", "fill", "curve",  # hold what is tried
        "vertical_flip", "every", "std",  # siblings of what is tried
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.update(model_version=card["model_version"] + 1),
        lambda card: card["hyperparameters"].update(planes=11),
        lambda card: card["hyperparameters"].update(width=[1, 2]),
    ],
)
def test_what_decides_a_network_changes_the_digest(registry: Registry, change: Callable[[Card], None]) -> None:
    assert digest(with_model(registry, change)) != digest(registry)


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.update(title="Another title", summary="Other words", licence="MIT", authors=["Nobody"]),
        lambda card: card.update(sources=[], assumptions=[], deviations=["none"], requires=["numpy"]),
        lambda card: card.update(exact_at=[28, 32], approximate_at=[]),
        lambda card: card.update(parameters=card["parameters"][:1]),
    ],
)
def test_what_a_model_says_of_itself_leaves_the_digest(registry: Registry, change: Callable[[Card], None]) -> None:
    assert digest(with_model(registry, change)) == digest(registry)


def test_the_data_enter_by_the_digests_of_the_parts_that_are_used(registry: Registry) -> None:
    def other_pixels(card: Card) -> None:
        card["parts"]["all"]["digest"] = "0" * 64

    def unused_part(card: Card) -> None:
        card["parts"]["more"] = {"images": 5, "digest": "0" * 64}
        card.update(title="Other words", download_bytes=5, by_hand="Put it there.", licence="none")

    def more_classes(card: Card) -> None:
        card["classes"] = 11

    assert digest(with_dataset(registry, other_pixels)) != digest(registry)
    assert digest(with_dataset(registry, more_classes)) != digest(registry)
    assert digest(with_dataset(registry, unused_part)) == digest(registry)


def write_digest(card: Card, copy: str | None) -> None:
    card["parts"]["all"]["digest"] = copy


def test_a_copy_without_a_digest_on_the_card_enters_by_what_was_recorded(registry: Registry, tmp_path: Path) -> None:
    """Two copies never have one digest, and a digest written on the card later changes nothing."""
    open_card = with_dataset(registry, partial(write_digest, copy=None))
    found = []
    for copy in ("1" * 64, "2" * 64):
        record_copy(tmp_path, "digits", {"all": copy})
        found.append(digest(on_copies(open_card, tmp_path)))
        found.append(digest(with_dataset(registry, partial(write_digest, copy=copy))))
    assert found[0] == found[1] != found[2] == found[3]
    assert spec(open_card, card_of(TRIAL), ENTRY)["data"] == {"all": UNKNOWN}
    assert digest(on_copies(registry, tmp_path)) == digest(registry), "a digest on the card stands"


def test_entries_and_sizes_have_digests_of_their_own(registry: Registry) -> None:
    digests = {digest(registry, entry=entry) for entry in ("p4cnn@28", "p4cnn@27", "z2cnn@28")}
    assert len(digests) == 3


def test_the_numerics_version_changes_the_digest(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(registry)
    monkeypatch.setattr(spec_module, "NUMERICS_VERSION", spec_module.NUMERICS_VERSION + 1)
    assert digest(registry) != before


def test_a_numeric_mode_whose_numbers_changed_says_its_version(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = registry.benchmark("quickstart")
    assert "numeric_mode_version" not in spec(registry, card, "p4cnn@12")
    low = card.model_copy(update={"recipe": card.recipe.model_copy(update={"numeric_mode": "bf16"})})
    now = spec(registry, low, "p4cnn@12")
    assert now["numeric_mode_version"] == 2
    monkeypatch.setitem(spec_module.NUMERIC_MODE_VERSIONS, "bf16", 3)
    assert spec_digest(spec(registry, low, "p4cnn@12")) != spec_digest(now)


def test_only_a_changed_metric_changes_the_digest(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(registry)
    monkeypatch.setitem(METRIC_VERSIONS, "a new metric", 1)
    assert digest(registry) == before
    monkeypatch.setitem(METRIC_VERSIONS, "accuracy.orbit", 2)
    assert digest(registry) != before


def test_a_spec_read_back_from_a_record_has_the_same_digest(registry: Registry) -> None:
    for benchmark in registry.benchmarks.values():
        for entry in benchmark.entries:
            made = spec(registry, benchmark, entry)
            assert spec_digest(json.loads(json.dumps(made))) == spec_digest(made)
            assert spec_digest(dict(reversed(list(made.items())))) == spec_digest(made)
            assert "null" not in json.dumps(made)


def test_numbers_have_one_form() -> None:
    assert spec_digest({"a": 1.0}) == spec_digest({"a": 1})
    assert spec_digest({"a": -0.0}) == spec_digest({"a": 0})
    assert spec_digest({"a": [0.1]}) != spec_digest({"a": [0.1000001]})
    assert spec_digest({"a": True}) != spec_digest({"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        spec_digest({"a": float("nan")})


def test_the_form_of_the_digest_never_changes() -> None:
    """sha256 of `{"a":[1,0.5],"b":"\\u00e9"}`, by any other tool."""
    import hashlib

    expected = hashlib.sha256(rb'{"a":[1,0.5],"b":"\u00e9"}').hexdigest()
    assert spec_digest({"b": "é", "a": [1.0, 0.5]}) == expected


def test_an_unknown_entry_is_refused(registry: Registry) -> None:
    with pytest.raises(UserError, match="did you mean p4cnn"):
        spec(registry, registry.benchmark("quickstart"), "p4cn@16")
