"""Seeds trained together are what they are alone; each keeps its own record, checkpoint and failure."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.architectures.heads import coset_classifier
from gcnnbench.architectures.residual import residual_network
from gcnnbench.cards.augmentation import Augmentation
from gcnnbench.cards.recipe import SGD, Adam, Lookahead, OneCycle, Recipe, StepDecay
from gcnnbench.cards.registry import Registry
from gcnnbench.data.images import Images, prepare
from gcnnbench.data.registered import load_dataset
from gcnnbench.errors import UserError
from gcnnbench.nn.blur import BlurPool
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.groups import P4, TRIVIAL
from gcnnbench.nn.pooling import GlobalMaxPool
from gcnnbench.rewriting.stacked import Streams, stack
from gcnnbench.training.loop import train
from gcnnbench.training.many_seeds import train_many_seeds
from gcnnbench.training.task import Task, TrainingState

SEEDS = (0, 3)
SIZE = 9


class Doubles(Images):
    """Images worked out in float64."""

    def augmented_batch(self, indices: Any, augmentation: Any, generator: Any, _: Any = None) -> Tensor:
        return super().augmented_batch(indices, augmentation, generator, torch.float64)

    def batch(self, indices: Any, _: Any = None) -> Tensor:
        return super().batch(indices, torch.float64)


def network(name: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    if name == "residual":
        return residual_network(
            size=SIZE,
            channels=1,
            classes=10,
            widths=(2, 3),
            blocks=(1, 1),
            group=P4,
            head=coset_classifier,
            initialise=kept,
        ).double()
    module = import_module(f"gcnnbench.models.{name}.model")
    built: nn.Module = module.build(size=SIZE, channels=1, classes=10, planes=3, dropout=0.3)
    return built.double()


def kept(_: nn.Module) -> None:
    """The weights as the layers draw them."""


def recipe(registry: Registry, **changes: Any) -> Recipe:
    return registry.benchmark("tiny").recipe.model_copy(update={"epochs": 4, "batch_size": 16, **changes})


ADAM = {
    "optimiser": Adam(name="adam", learning_rate=0.01, weight_decay=1e-5),
    "schedule": StepDecay(name="step", every=2, factor=0.5),
    "tested_model": "best-validation",
}
MOMENTUM = {
    "optimiser": SGD(name="sgd", learning_rate=0.05, momentum=0.9, weight_decay=1e-4),
    "schedule": OneCycle(name="one-cycle"),
    "tested_model": "last",
    "augmentation": Augmentation(crop_padding=1, horizontal_flip=True),
}


def tasks(registry: Registry, changes: dict[str, Any]) -> list[Task]:
    """Five steps in each of four epochs, the last of them with fewer images."""
    part = load_dataset(registry, "digits", Path("unused"))["all"]

    def images(start: int, count: int) -> Images:
        card = registry.benchmark("tiny").input
        return Doubles(**vars(prepare(part.select(slice(start, start + count)), card, SIZE)))

    chosen = recipe(registry, **changes)
    return [Task("tiny", seed, chosen, images(9 * seed, 72), images(200, 40), torch.device("cpu"), 1) for seed in SEEDS]


def apart(one: TrainingState, other: TrainingState) -> float:
    """The largest difference of weights, statistics and moments, relative to the larger of 1 and the value."""
    pairs = [(one.network[name], other.network[name]) for name in one.network]
    pairs += [(one.tested_network[name], other.tested_network[name]) for name in one.tested_network]
    pairs += [
        (value, other.optimiser["state"][index][name])
        for index, values in one.optimiser["state"].items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    ]
    assert len(pairs) > 40
    return max(float(((a - b).abs() / a.abs().clamp(min=1)).max()) for a, b in pairs)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("p4cnn", ADAM),
        ("p4mcnn", MOMENTUM),
        ("p4cnn-subsample", ADAM | {"norm_statistics": "re-estimated"}),
        ("residual", MOMENTUM),
    ],
)
def test_twenty_steps_together_are_those_alone(tiny_registry: Registry, name: str, changes: dict[str, Any]) -> None:
    own = tasks(tiny_registry, changes)
    alone = [TrainingState() for _ in SEEDS]
    for task, state in zip(own, alone, strict=True):
        for _ in train(network(name, task.seed), task, state):
            pass
    together = [TrainingState() for _ in SEEDS]
    for lost in train_many_seeds([network(name, task.seed) for task in own], own, together):
        assert not lost
    for one, other in zip(alone, together, strict=True):
        assert one.steps == other.steps == 20
        assert apart(one, other) < 1e-10
        assert (one.schedule, one.tested_epoch, one.tested_correct) == (
            other.schedule, other.tested_epoch, other.tested_correct,
        )  # fmt: skip
        for ours, theirs in zip(one.history, other.history, strict=True):
            assert {**ours, "seconds": 0} == pytest.approx({**theirs, "seconds": 0}, abs=1e-10)
    assert apart(alone[0], together[1]) > 1e-3


def test_each_seed_is_read_after_every_epoch_as_it_is_alone(tiny_registry: Registry) -> None:
    """What a probe reads is that of the seed's own network after that epoch, batch statistics included."""

    def sums(network: nn.Module) -> dict[str, Any]:
        assert all(value.isfinite().all() for value in network.state_dict().values()), "no lost seed is read"
        return {name: float(value.sum()) for name, value in network.state_dict().items()}

    own = [replace(task, probe=sums) for task in tasks(tiny_registry, ADAM)]
    together = [TrainingState() for _ in SEEDS]
    for _ in train_many_seeds([network("p4cnn", task.seed) for task in own], own, together):
        pass
    for task, state in zip(own, together, strict=True):
        alone = TrainingState()
        for _ in train(network("p4cnn", task.seed), task, alone):
            pass
        for ours, theirs in zip(alone.history, state.history, strict=True):
            assert theirs["probes"] == pytest.approx(ours["probes"], abs=1e-9)


def test_going_on_from_kept_states_gives_the_same_bits(tiny_registry: Registry) -> None:
    own = tasks(tiny_registry, ADAM)

    def networks() -> list[nn.Module]:
        return [network("p4cnn", task.seed) for task in own]

    whole, stopped = [TrainingState() for _ in SEEDS], [TrainingState() for _ in SEEDS]
    for _ in train_many_seeds(networks(), own, whole):
        pass
    next(train_many_seeds(networks(), own, stopped))
    for _ in train_many_seeds(networks(), own, stopped):
        pass
    for one, other in zip(whole, stopped, strict=True):
        assert apart(one, other) == 0


@pytest.mark.parametrize(
    ("changes", "ahead", "behind_at"),
    [(ADAM, 0, 0), (MOMENTUM, 1, 1), (ADAM | {"lookahead": Lookahead(every=2, decay=0.9)}, 0, 1)],
)
def test_a_seed_that_is_ahead_waits_and_all_end_with_the_same_bits(
    tiny_registry: Registry, changes: dict[str, Any], ahead: int, behind_at: int
) -> None:
    own = tasks(tiny_registry, changes)

    def networks() -> list[nn.Module]:
        return [network("p4cnn", task.seed) for task in own]

    states = [TrainingState() for _ in SEEDS]
    generations = [deepcopy(states), *(deepcopy(states) for _ in train_many_seeds(networks(), own, states))]
    gone_on = deepcopy(generations[behind_at])
    gone_on[ahead] = deepcopy(generations[2][ahead])
    for _ in train_many_seeds(networks(), own, gone_on):
        pass
    for one, other in zip(states, gone_on, strict=True):
        assert apart(one, other) == 0
        assert (one.schedule, one.steps, one.tested_epoch) == (other.schedule, other.steps, other.tested_epoch)


def test_a_seed_that_diverges_is_lost_alone(tiny_registry: Registry) -> None:
    own = tasks(tiny_registry, ADAM)
    networks = [network("p4cnn", task.seed) for task in own]
    with torch.no_grad():
        next(networks[0].parameters()).fill_(float("nan"))
    states = [TrainingState() for _ in SEEDS]
    for lost in train_many_seeds(networks, own, states):
        assert {position: str(error) for position, error in lost.items()} == {0: "the loss is nan in epoch 1"}
    assert [state.epochs_done for state in states] == [0, 4]
    alone = TrainingState()
    for _ in train(network("p4cnn", SEEDS[1]), own[1], alone):
        pass
    assert apart(alone, states[1]) < 1e-10


@pytest.mark.parametrize("layer", [BlurPool(P4), GlobalMaxPool()], ids=lambda layer: type(layer).__name__)
def test_pools_keep_the_seeds_apart(layer: nn.Module) -> None:
    networks = [nn.Sequential(GroupConv(1, 2, 3, group=P4, in_group=TRIVIAL), layer).double() for _ in range(3)]
    images = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    together = stack(networks, Streams(torch.device("cpu")))(images)
    alone = torch.cat([network(images[:, seed : seed + 1]) for seed, network in enumerate(networks)], 1)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)


def test_a_layer_without_a_stacked_form_is_named() -> None:
    plain = nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3)))
    with pytest.raises(UserError, match=r"0\.0 \(Conv2d\) has no form for several seeds at once"):
        stack([plain, plain], Streams(torch.device("cpu")))
