"""What fast recipes ask for: label smoothing, a triangular schedule, biases of norms, lookahead, alternating flips."""

from __future__ import annotations

import io
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.cards.augmentation import Augmentation
from gcnnbench.cards.recipe import SGD, Lookahead, NormBiases, Recipe, Triangular
from gcnnbench.cards.registry import Registry
from gcnnbench.data.images import Images, prepare
from gcnnbench.data.registered import load_dataset
from gcnnbench.rewriting.plain import to_plain
from gcnnbench.training.lookahead import SlowWeights
from gcnnbench.training.loop import train
from gcnnbench.training.many_seeds import train_many_seeds
from gcnnbench.training.optimisers import every_batch, optimiser_for, schedule_for
from gcnnbench.training.phases import phases
from gcnnbench.training.task import Task, TrainingState

SIZE, SEEDS = 9, (0, 3)
CHANGES: dict[str, Any] = {
    "epochs": 4,
    "batch_size": 16,
    "drop_last": True,
    "optimiser": SGD(
        name="sgd",
        learning_rate=0.1,
        momentum=0.85,
        nesterov=True,
        weight_decay=1e-3,
        norm_biases=NormBiases(learning_rate=0.8, weight_decay=1e-4),
    ),
    "schedule": Triangular(name="triangular", start=0.2, rise=0.25, end=0.1),
    "label_smoothing": 0.2,
    "lookahead": Lookahead(every=3, decay=0.9),
    "augmentation": Augmentation(crop_padding=1, crop_border="reflected", alternating_flip=True),
    "tested_model": "last",
}


class Doubles(Images):
    """Images worked out in float64."""

    def augmented_batch(self, indices: Any, augmentation: Any, generator: Any, _: Any = None) -> Tensor:
        return super().augmented_batch(indices, augmentation, generator, torch.float64)


def network(seed: int, name: str = "p4-air") -> nn.Module:
    torch.manual_seed(seed)
    build = import_module(f"gcnnbench.models.{name}.model").build
    made: nn.Module = build(
        size=SIZE, channels=1, classes=10, stem=2, widths=(2, 3, 3), norm_eps=1e-3, norm_momentum=0.4, logit_scale=0.2
    )
    return made.double()


@pytest.fixture
def recipe(tiny_registry: Registry) -> Recipe:
    return tiny_registry.benchmark("tiny").recipe.model_copy(update=CHANGES)


def task(registry: Registry, recipe: Recipe, seed: int = 0) -> Task:
    part = load_dataset(registry, "digits", Path("unused"))["all"].select(slice(9 * seed, 9 * seed + 72))
    images = Doubles(**vars(prepare(part, registry.benchmark("tiny").input, SIZE)))
    return Task("tiny", seed, recipe, images, None, torch.device("cpu"), 1)


def trained(task: Task, seed: int = 0) -> TrainingState:
    state = TrainingState()
    for _ in train(network(seed), task, state):
        pass
    return state


def apart(one: TrainingState, other: TrainingState) -> float:
    pairs = [(one.network[name], other.network[name]) for name in one.network]
    pairs += [(one.slow_weights[name], other.slow_weights[name]) for name in one.slow_weights]
    return max(float((a - b).abs().max()) for a, b in pairs)


def test_the_learning_rate_is_a_triangle_and_biases_of_norms_have_their_own(recipe: Recipe) -> None:
    net = network(0)
    (phase,) = phases(recipe)
    optimiser = optimiser_for(net, phase)
    schedule, rates = schedule_for(optimiser, phase, 5), []
    assert every_batch(phase)
    for _ in range(20):
        rates.append([group["lr"] for group in optimiser.param_groups])
        optimiser.step()
        schedule.step()
    weights, biases = zip(*rates, strict=True)
    assert weights[0] == pytest.approx(0.02)
    assert weights[5] == pytest.approx(0.1) == pytest.approx(max(weights))
    assert weights[2] == pytest.approx(0.02 + 0.08 * 2 / 5)
    assert weights[10] == pytest.approx(0.1 - 0.09 * 5 / 15)
    assert optimiser.param_groups[0]["lr"] == pytest.approx(0.01)
    assert biases == pytest.approx([8 * rate for rate in weights])
    named = {id(parameter): name for name, parameter in net.named_parameters()}
    decays = {
        named[id(parameter)]: group["weight_decay"] for group in optimiser.param_groups for parameter in group["params"]
    }
    assert set(decays) == set(named.values())
    assert {name for name, decay in decays.items() if decay == 1e-4} == {
        name for name in decays if name.startswith("norm") and name.endswith("bias")
    }
    assert "norm1a.bias" in decays
    assert "norm1a.weight" not in decays, "these norms have no scale"


def test_slow_weights_follow_and_replace_by_their_formula() -> None:
    layer, card = nn.Linear(1, 1, bias=False).double(), Lookahead(every=2, decay=0.5)
    layer.weight.data.fill_(1.0)
    slow, expected = SlowWeights(layer, card, 5, 0, {}), 1.0
    for step in range(1, 6):
        layer.weight.data.add_(1.0)
        fast = layer.weight.item()
        slow.step()
        if step % 2 == 0:
            staying = 0.5**2 * (step / 5) ** 3
            expected += (1 - staying) * (fast - expected)
            assert layer.weight.item() == pytest.approx(expected)
        elif step < 5:
            assert layer.weight.item() == fast
    assert layer.weight.item() == pytest.approx(expected), "after the last step the slow weights stand"


def test_smoothed_labels_are_those_of_pytorch(tiny_registry: Registry, recipe: Recipe) -> None:
    once = recipe.model_copy(update={"epochs": 1, "batch_size": 72})
    own = task(tiny_registry, once)
    (images, labels), net = next(own.batches(0)), network(0).train()
    even = torch.full((72, 10), 0.02, dtype=torch.float64).scatter_(1, labels[:, None], 0.82)
    expected = -(even * net(images).detach().log_softmax(1)).sum(1).mean()
    assert trained(own).history[0]["train_loss"] == pytest.approx(float(expected), rel=1e-12)
    plain = trained(task(tiny_registry, once.model_copy(update={"label_smoothing": None})))
    assert plain.history[0]["train_loss"] != pytest.approx(float(expected), rel=1e-4)


def test_every_image_is_mirrored_in_every_other_epoch(tiny_registry: Registry, recipe: Recipe) -> None:
    flips = recipe.model_copy(update={"augmentation": Augmentation(alternating_flip=True), "batch_size": 72})
    own = task(tiny_registry, flips)
    upright = own.train.batch(slice(None), torch.float64)
    shown = []
    for epoch in range(4):
        order = torch.empty_like(upright)
        ((images, _),) = own.batches(epoch)
        where = [(image - upright).abs().amax((1, 2, 3)).argmin() for image in images]
        back = [(image.flip(-1) - upright).abs().amax((1, 2, 3)).argmin() for image in images]
        for image, here, there in zip(images, where, back, strict=True):
            order[here if torch.equal(image, upright[here]) else there] = image
        mirrored = torch.tensor(
            [torch.equal(image, other.flip(-1)) for image, other in zip(order, upright, strict=True)]
        )
        assert torch.equal(order, torch.where(mirrored[:, None, None, None], upright.flip(-1), upright))
        shown.append(mirrored)
    assert torch.equal(shown[0], shown[2])
    assert torch.equal(shown[1], shown[3])
    assert torch.equal(shown[0], ~shown[1])
    assert 20 < int(shown[0].sum()) < 52


def test_an_interrupted_training_goes_on_with_the_same_bits(tiny_registry: Registry, recipe: Recipe) -> None:
    whole, stopped = trained(task(tiny_registry, recipe)), TrainingState()
    for _ in range(3):
        next(train(network(0), task(tiny_registry, recipe), stopped))
        kept = io.BytesIO()
        torch.save(vars(stopped), kept)  # as a checkpoint does
        kept.seek(0)
        stopped = TrainingState(**torch.load(kept, weights_only=True))
    for _ in train(network(1), task(tiny_registry, recipe), stopped):
        pass
    assert whole.steps == stopped.steps == 16
    assert len(whole.slow_weights) > 15
    assert apart(whole, stopped) == 0
    assert all(torch.equal(whole.tested_network[name], value) for name, value in whole.slow_weights.items())
    without = trained(task(tiny_registry, recipe.model_copy(update={"lookahead": None})))
    assert max(float((whole.network[name] - without.network[name]).abs().max()) for name in whole.network) > 1e-3


@pytest.mark.parametrize("name", ["p4-air", "p4-air-cured"])
def test_seeds_together_are_those_alone(tiny_registry: Registry, recipe: Recipe, name: str) -> None:
    own = [task(tiny_registry, recipe, seed) for seed in SEEDS]
    alone, together = [TrainingState() for _ in SEEDS], [TrainingState() for _ in SEEDS]
    for one, state in zip(own, alone, strict=True):
        for _ in train(network(one.seed, name), one, state):
            pass
    for _ in range(2):  # the second time goes on from kept states
        training = train_many_seeds([network(one.seed, name) for one in own], own, together)
        next(training)
    for lost in training:
        assert not lost
    for state, other in zip(alone, together, strict=True):
        assert apart(state, other) < 1e-10
        assert state.history[-1]["train_loss"] == pytest.approx(other.history[-1]["train_loss"], abs=1e-10)
    assert apart(alone[0], together[1]) > 1e-3


def test_a_plain_copy_has_the_scaled_logits() -> None:
    last = nn.Sequential(network(0).get_submodule("linear"))
    features = torch.rand(4, 3, dtype=torch.float64)
    plain = to_plain(last)
    assert type(plain.get_submodule("0")) is nn.Linear
    torch.testing.assert_close(plain(features), last(features), rtol=0, atol=1e-12)
