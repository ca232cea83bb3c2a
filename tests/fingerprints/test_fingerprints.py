"""Every version number is pinned to what the code does: numbers that change without a bump fail here.

A fingerprint is a few float64 numbers from a fixed input. It ignores refactorings, comments and rounding. After a
change that is meant, bump the version that the failing test names and run this file with python: it writes fingerprints
only for versions that have none.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.cards.augmentation import Augmentation, Fill, NormalAngle, Rotation, UniformAngle
from gcnnbench.cards.base import split_entry
from gcnnbench.cards.benchmark_card import Input, Share, Split
from gcnnbench.cards.entries import build_network
from gcnnbench.cards.evaluation import Evaluation
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cards.recipe import (
    SGD,
    Adam,
    Lookahead,
    MultiStepDecay,
    NormBiases,
    OneCycle,
    Recipe,
    StepDecay,
    Triangular,
)
from gcnnbench.cards.registry import Registry
from gcnnbench.data.augment import augment
from gcnnbench.data.images import Images, prepare
from gcnnbench.data.registered import load_dataset
from gcnnbench.data.splits import order_seed, split_indices
from gcnnbench.data.streams import derive
from gcnnbench.device import seeded
from gcnnbench.equivariance.errors import measure
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.groups import P4, P4M
from gcnnbench.runs.spec import NUMERICS_VERSION
from gcnnbench.scoring.conditions import EvaluationState, count, evaluate
from gcnnbench.scoring.metrics import METRIC_VERSIONS, Counts, Ordered, metrics
from gcnnbench.training.loop import train
from gcnnbench.training.task import Task, TrainingState

PINNED = Path(__file__).with_name("fingerprints.json")
CPU = torch.device("cpu")
GREY = Input(channels=1, resize="pillow-bilinear", mean=(0.3,), std=(0.4,))
BLACK, MEAN = Fill(value=0.0, scale="before-normalisation"), Fill(value=0.0, scale="after-normalisation")
PLAIN = Recipe(
    epochs=1,
    batch_size=8,
    drop_last=False,
    # Adam divides by the size of a gradient, also of one that is rounding alone, which differs between processors.
    optimiser=SGD(name="sgd", learning_rate=0.01, weight_decay=1e-4),
    schedule=StepDecay(name="step", every=1, factor=0.5),
    augmentation=Augmentation(),
    tested_model="last",
    numeric_mode="fp32",
)


class Double(Images):
    """Images whose batches are worked out in float64."""

    def batch(self, indices: Tensor | slice, dtype: torch.dtype = torch.float64) -> Tensor:
        return super().batch(indices, dtype)

    def rotated_batch(
        self, indices: Tensor | slice, degrees: float | Tensor, fill: Fill, dtype: torch.dtype = torch.float64
    ) -> Tensor:
        return super().rotated_batch(indices, degrees, fill, dtype)

    def augmented_batch(
        self,
        indices: Tensor | slice,
        augmentation: Augmentation,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float64,
    ) -> Tensor:
        return super().augmented_batch(indices, augmentation, generator, dtype)


def digits(registry: Registry, size: int, first: int, number: int) -> Double:
    part = load_dataset(registry, "digits", Path("unused"))["all"].select(slice(first, first + number))
    return Double(**vars(prepare(part, GREY, size)))


def narrow(registry: Registry, entry: str) -> nn.Module:
    """The network of an entry for the quickstart's input, in full depth but narrow if its card has widths or growth.

    Hyper-parameters are pinned by the digest; what the code makes of them is no matter of their size.
    """
    slug, size = split_entry(entry)
    hyperparameters = dict(registry.model(slug).hyperparameters)
    if "widths" in hyperparameters:
        stages = len(registry.model(slug).hyperparameters["widths"])  # type: ignore[arg-type]
        hyperparameters["widths"] = tuple(range(2, 2 + stages))
    if "growth" in hyperparameters:
        hyperparameters["growth"] = 2
    module = registry.module("model", slug)
    return build_network(module, entry, size=size, channels=1, classes=10, hyperparameters=hyperparameters)


def trained(registry: Registry, entry: str, recipe: Recipe) -> list[float]:
    """Loss and accuracy of each epoch of three steps, and the trained network's logits on four other images."""
    size = int(entry.partition("@")[2])
    with seeded(CPU, derive("fingerprint", 0, "initialisation")):
        network = narrow(registry, entry).double()
    state = TrainingState()
    task = Task("fingerprint", 0, recipe, digits(registry, size, 0, 24), None, CPU, 1)
    for _ in train(network, task, state):
        pass
    network.eval()
    with torch.no_grad():
        logits = network(digits(registry, size, 50, 4).batch(slice(None)))
    course = [epoch[key] for epoch in state.history for key in ("learning_rate", "train_loss", "train_accuracy")]
    return [*course, *logits.flatten().tolist()]


def scored(registry: Registry) -> list[float]:
    """Every metric of a linear classifier, and the equivariance errors of a broken P4CNN at its depths."""
    protocol = registry.benchmark("quickstart").evaluation
    whole = Evaluation(group="p4m", seen=("upright", "mirror"), curve=protocol.curve, equivariance_images=8)
    with seeded(CPU, derive("fingerprint", 0, "initialisation")):
        network = registry.build("p4cnn@15", registry.benchmark("quickstart"))
    # The layers' own first weights: how an entry draws its weights is pinned by its model version, not here.
    with seeded(CPU, derive("fingerprint", 0, "initialisation")):
        for layer in network.modules():
            if isinstance(layer, GroupConv | nn.Linear):
                layer.reset_parameters()
        network = network.double()
        linear = nn.Sequential(nn.Flatten(), nn.Linear(225, 10)).double()
    images, state = digits(registry, 15, 0, 40), EvaluationState()
    for _ in evaluate(linear, images, whole, P4M, 1, state):
        pass
    found = measure(network, images.batch(slice(8)), P4.elements)
    values = metrics(count(state, images.labels, 10), whole.seen, invariance_error=found.invariance_error)
    errors = [value for depth in found.depths for value in (depth.paper, depth.relative)]
    logits = [float(scores.double().norm()) for scores in state.logits.values()]
    return [value for value in (*values.values(), *errors, *logits, found.flips) if value is not None]


def shown(registry: Registry) -> list[float]:
    """Batches after resizing, normalisation, each random change and each rotation, as sums with fixed weights."""
    changes = (
        Augmentation(crop_padding=2, horizontal_flip=True, vertical_flip=True, quarter_turns=True),
        Augmentation(rotation=Rotation(angle=UniformAngle(name="uniform", low=0, high=360), per="batch", fill=MEAN)),
        Augmentation(rotation=Rotation(angle=NormalAngle(name="normal", mean=45, std=20), per="image", fill=BLACK)),
    )
    sums: list[float] = []
    for size in (7, 13):
        images = digits(registry, size, 0, 6)
        weights = torch.linspace(-1, 1, size * size * 6, dtype=torch.float64).cos().view(6, 1, size, size)
        upright = images.batch(slice(None))
        batches = [upright, images.rotated_batch(slice(None), 30.0, BLACK), images.rotated_batch(slice(None), 90, MEAN)]
        batches += [augment(upright, change, GREY, torch.Generator().manual_seed(7)) for change in changes]
        sums += [float((batch * weights).sum()) for batch in batches]
    return sums


def drawn(_: Registry) -> list[float]:
    """Random streams and splits."""
    card = Split(
        train=Share(part="a", images=5), validation=Share(part="a", images=3), test=Share(part="b"), shuffle="seed"
    )
    indices = split_indices({"a": 20, "b": 4}, card, order_seed("fingerprint", 3, card))
    streams = [derive("fingerprint", seed, stream, 2) / 2**63 for seed in (0, 1) for stream in ("order", "network")]
    return [*streams, *(float(index) for share in indices.values() for index in share)]


RECIPES = {
    "sgd, multi-step": PLAIN.model_copy(
        update={
            "epochs": 2,
            "optimiser": SGD(name="sgd", learning_rate=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
            "schedule": MultiStepDecay(name="multi-step", epochs=(1,), factor=0.1),
        }
    ),
    "adam, one-cycle, dropped last batch": PLAIN.model_copy(
        update={
            "epochs": 2,
            "batch_size": 10,
            "drop_last": True,
            "optimiser": Adam(name="adam", learning_rate=0.01, weight_decay=1e-4),
            "schedule": OneCycle(name="one-cycle"),
        }
    ),
    "triangular, biases of norms, smoothed labels, lookahead, reflected crops, alternating flips": PLAIN.model_copy(
        update={
            "epochs": 2,
            "optimiser": SGD(
                name="sgd",
                learning_rate=0.1,
                momentum=0.85,
                nesterov=True,
                weight_decay=1e-3,
                norm_biases=NormBiases(learning_rate=0.4, weight_decay=1e-4),
            ),
            "schedule": Triangular(name="triangular", start=0.2, rise=0.3, end=0.1),
            "label_smoothing": 0.2,
            "lookahead": Lookahead(every=2, decay=0.9),
            "augmentation": Augmentation(crop_padding=2, crop_border="reflected", alternating_flip=True),
        }
    ),
}


def metric_values() -> dict[str, float | None]:
    counts = Counts(
        elements={"upright": ((5, 1), (2, 4)), "rot90": ((3, 3), (1, 5)), "rot180": ((4, 2), (0, 6))},
        angles={"0": ((5, 1), (2, 4)), "45": ((1, 5), (5, 1))},
        flips={"rot90": ((3, 4), (1, 4)), "rot180": ((4, 3), (0, 5))},
        ordered=Ordered(concordant=26, tied=2),
    )
    values = metrics(counts, ("upright", "rot180"), invariance_error=0.25)
    values["accuracy.element"] = values["accuracy.rot90"]
    return values


def pinned_entry(card: ModelCard) -> str:
    return f"{card.name}@{card.parameters[-1].size}"


def fingerprints() -> dict[str, Callable[[Registry], list[float]]]:
    """What is pinned, by the name and version that pin it."""
    suite = f"numerics version {NUMERICS_VERSION}"
    pins: dict[str, Callable[[Registry], list[float]]] = {
        f"{suite}: scoring": scored,
        f"{suite}: batches": shown,
        f"{suite}: draws": drawn,
    }
    for card in Registry.load().models.values():
        pins[f"model {card.name} version {card.model_version}"] = training_pin(pinned_entry(card), PLAIN)
    for name, recipe in RECIPES.items():
        pins[f"{suite}: {name}"] = training_pin("z2cnn@16", recipe)
    values = metric_values()
    for name, version in METRIC_VERSIONS.items():
        pins[f"metric {name} version {version}"] = metric_pin(values[name])
    return pins


def training_pin(entry: str, recipe: Recipe) -> Callable[[Registry], list[float]]:
    return lambda registry: trained(registry, entry, recipe)


def metric_pin(value: float | None) -> Callable[[Registry], list[float]]:
    return lambda _: [] if value is None else [value]


PINS = fingerprints()


def pinned() -> dict[str, list[float]]:
    found: dict[str, Any] = json.loads(PINNED.read_text()) if PINNED.exists() else {}
    return found


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load()


@pytest.mark.parametrize("name", PINS)
def test_the_code_does_what_its_version_says(registry: Registry, name: str) -> None:
    stored = pinned()
    assert name in stored, f"{name} has no fingerprint: run python {Path(__file__).name} and commit the file"
    now = PINS[name](registry)
    assert now == pytest.approx(stored[name], rel=1e-6, abs=1e-9), f"{name} gives other numbers: bump that version"


def test_old_versions_stay_pinned() -> None:
    """The file names exactly the versions in force: what was bumped is renewed, nothing is left over."""
    assert set(pinned()) == set(PINS)


def test_a_changed_layer_is_noticed(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that no shape shows: batch norm with another epsilon."""
    name = next(name for name in PINS if name.startswith("model p4cnn version"))
    monkeypatch.setattr(
        "gcnnbench.nn.normalisation.GroupBatchNorm.__init__.__kwdefaults__",
        {"eps": 1e-3, "momentum": 0.1, "scale": True},
    )
    assert PINS[name](registry) != pytest.approx(pinned()[name], rel=1e-6, abs=1e-9)


if __name__ == "__main__":
    old, cards = pinned(), Registry.load()
    renewed = {name: old.get(name) or function(cards) for name, function in PINS.items()}
    PINNED.write_text(json.dumps(renewed, indent=1) + "\n")
    sys.stdout.write(f"{len(set(renewed) - set(old))} new, {len(set(old) - set(renewed))} dropped\n")
