"""Phases, roles and penalties: what is trained when and how fast, and nothing at all where a recipe has none of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from gcnnbench.architectures.learnt_priors import LearntPriors
from gcnnbench.architectures.mnist_study import p4cnn
from gcnnbench.cards.recipe import OneCycle, Recipe, RoleRates, TrainingPhase
from gcnnbench.cards.registry import Registry
from gcnnbench.data.images import prepare
from gcnnbench.data.registered import load_dataset
from gcnnbench.device import seeded
from gcnnbench.errors import UserError
from gcnnbench.nn.groups import P4
from gcnnbench.nn.pathway import ResidualPathwayConv
from gcnnbench.nn.projected import ProjectedConv
from gcnnbench.training.loop import DivergedError, train
from gcnnbench.training.many_seeds import train_many_seeds
from gcnnbench.training.optimisers import optimiser_for, schedule_for
from gcnnbench.training.phases import WEIGHTS, parameter_groups, phases, roles
from gcnnbench.training.task import Task, TrainingState

CPU = torch.device("cpu")


class Small(nn.Module):
    """A linear classifier with a norm, a temperature of a role of its own, and a penalty where one is given."""

    roles: ClassVar = {"temperature": "degree"}

    def __init__(self, penalty: Callable[[], Tensor] | None = None) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.linear = nn.Linear(64, 10)
        self.temperature = nn.Parameter(torch.ones(()))
        if penalty is not None:
            self.penalty = penalty

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.norm(images).flatten(1)) / self.temperature
        return logits


@pytest.fixture
def recipe(tiny_registry: Registry) -> Recipe:
    return tiny_registry.benchmark("tiny").recipe.model_copy(update={"tested_model": "last"})


def with_phases(recipe: Recipe, *cards: TrainingPhase) -> Recipe:
    return Recipe.model_validate({**recipe.model_dump(), "phases": tuple(card.model_dump() for card in cards)})


def task(registry: Registry, recipe: Recipe, **changes: Any) -> Task:
    part = load_dataset(registry, "digits", Path("unused"))["all"].select(slice(48))
    images = prepare(part, registry.benchmark("tiny").input, 8)
    return Task("tiny", 0, recipe, images, None, CPU, 1, **changes)


def trained(make: Callable[[], nn.Module], task: Task, stop: int | None = None) -> TrainingState:
    """The state at the end; with `stop` it is left after so many epochs and taken up by another network."""
    state = TrainingState()
    with seeded(CPU, 0):
        network = make()
    for _ in train(network, task, state):
        if state.epochs_done == stop:
            break
    if stop is not None:
        state.network = {name: value.clone() for name, value in state.network.items()}
        for _ in train(make(), task, state):
            pass
    return state


def same(one: TrainingState, other: TrainingState) -> bool:
    return all(torch.equal(one.network[name], other.network[name]) for name in one.network)


# The phases of a recipe.


def test_a_recipe_without_phases_is_one_phase(recipe: Recipe) -> None:
    (phase,) = phases(recipe)
    assert (phase.first, phase.end, phase.trains, phase.rates) == (0, recipe.epochs, None, {})
    assert (phase.optimiser, phase.schedule) == (recipe.optimiser, recipe.schedule)


def test_the_last_phase_has_the_epochs_that_are_left(recipe: Recipe) -> None:
    found = phases(with_phases(recipe, TrainingPhase(epochs=1), TrainingPhase()))
    assert [(phase.first, phase.end) for phase in found] == [(0, 1), (1, recipe.epochs)]


@pytest.mark.parametrize(
    ("cards", "match"),
    [
        ((TrainingPhase(epochs=1),), "the phases have 1 epoch, the recipe 3"),
        ((TrainingPhase(), TrainingPhase(epochs=1)), "only the last phase may leave it out"),
        ((TrainingPhase(epochs=3), TrainingPhase()), "the phases have 3 epochs before the last, the recipe 3"),
    ],
)
def test_phases_that_do_not_add_up_are_refused(recipe: Recipe, cards: tuple[TrainingPhase, ...], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        with_phases(recipe, *cards)


def test_one_phase_that_changes_nothing_gives_the_same_bits(tiny_registry: Registry, recipe: Recipe) -> None:
    rates = {"degree": RoleRates(learning_rate=recipe.optimiser.learning_rate)}
    plain = trained(Small, task(tiny_registry, recipe))
    for cards in ((TrainingPhase(),), (TrainingPhase(roles=rates),), (TrainingPhase(roles={"none": RoleRates()}),)):
        assert same(trained(Small, task(tiny_registry, with_phases(recipe, *cards))), plain)


@pytest.mark.parametrize("stop", [1, 2])
def test_a_resumed_run_of_two_phases_ends_with_the_same_bits(
    tiny_registry: Registry, recipe: Recipe, stop: int
) -> None:
    cards = (TrainingPhase(epochs=1, schedule=OneCycle(name="one-cycle")), TrainingPhase(trains=("degree", WEIGHTS)))
    here = task(tiny_registry, with_phases(recipe, *cards))
    once = trained(Small, here)
    assert same(trained(Small, here, stop), once)
    assert [epoch["epoch"] for epoch in once.history] == [1, 2, 3]


def test_what_a_phase_does_not_train_stays_bit_for_bit(tiny_registry: Registry, recipe: Recipe) -> None:
    here = task(tiny_registry, with_phases(recipe, TrainingPhase(epochs=1), TrainingPhase(trains=("degree",))))
    state, kept = TrainingState(), {}
    network = Small()
    for _ in train(network, here, state):
        kept[state.epochs_done] = {name: value.clone() for name, value in state.network.items()}
    changed = {name for name in kept[1] if not torch.equal(kept[1][name], kept[3][name])}
    assert changed == {"temperature"}, "the norm's statistics rest with its parameters"
    assert all(parameter.requires_grad for parameter in network.parameters()), "the flags are given back"


# Roles.


def test_roles_have_rates_and_decays_of_their_own(recipe: Recipe) -> None:
    network = Small()
    assert roles(network) == {
        "temperature": "degree",
        **dict.fromkeys(("norm.weight", "norm.bias", "linear.weight", "linear.bias"), WEIGHTS),
    }
    card = TrainingPhase(
        roles={"degree": RoleRates(learning_rate=0.5, weight_decay=0.0)}, schedule=OneCycle(name="one-cycle")
    )
    (phase,) = phases(with_phases(recipe, card))
    optimiser = optimiser_for(network, phase)
    assert [len(group["params"]) for group in optimiser.param_groups] == [4, 1]
    assert [group["weight_decay"] for group in optimiser.param_groups] == [recipe.optimiser.weight_decay, 0.0]
    schedule = schedule_for(optimiser, phase, 3)
    rates = []
    for _ in range(9):
        rates.append([group["lr"] for group in optimiser.param_groups])
        optimiser.step()
        schedule.step()
    assert [max(column) for column in zip(*rates, strict=True)] == pytest.approx([0.004, 0.5], rel=0.1)
    assert all(own == pytest.approx(rate * 0.5 / 0.004) for rate, own in rates)


def test_no_decay_reaches_a_role_without_it(tiny_registry: Registry, recipe: Recipe) -> None:
    """Planted: with the recipe's decay the width would shrink though no gradient asks for it."""

    class Idle(Small):
        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.linear(images.flatten(1))
            return logits

    heavy = recipe.model_copy(update={"optimiser": recipe.optimiser.model_copy(update={"weight_decay": 0.1})})
    free = with_phases(heavy, TrainingPhase(roles={"degree": RoleRates(weight_decay=0.0)}))
    for recipe_, stays in ((free, True), (heavy, False)):

        def make() -> nn.Module:
            network = Idle()
            network.penalty = lambda: 0.0 * network.temperature  # a gradient of zero: only decay can move it
            return network

        state = trained(make, task(tiny_registry, recipe_))
        assert (float(state.network["temperature"]) == 1.0) is stays


def test_a_role_of_no_parameter_is_an_error() -> None:
    network = Small()
    vars(network)["roles"] = {"width": "degree"}
    with pytest.raises(UserError, match="the network names a role for 'width'"):
        roles(network)


def test_a_phase_that_trains_nothing_is_an_error(tiny_registry: Registry, recipe: Recipe) -> None:
    here = task(tiny_registry, with_phases(recipe, TrainingPhase(trains=("free",))))
    with pytest.raises(UserError, match="trains free, and this network has no such parameters"):
        trained(Small, here)
    assert parameter_groups(Small(), phases(recipe)[0])


# Penalties.


def test_a_penalty_of_zero_is_none_to_the_bit(tiny_registry: Registry, recipe: Recipe) -> None:
    here = task(tiny_registry, recipe)
    shape = {"size": 8, "channels": 1, "classes": 10, "planes": 2, "dropout": 0.3}
    one, other = (trained(partial(p4cnn, conv, group=P4, **shape), here) for conv in (ZeroPenalty, NoPenalty))
    assert same(one, other)
    assert [epoch["train_penalty"] for epoch in one.history] == [0.0] * 3
    assert [epoch["train_penalty"] for epoch in other.history] == [None] * 3


class ZeroPenalty(ProjectedConv):
    def __init__(self, *sizes: int, **geometry: Any) -> None:
        super().__init__(*sizes, strength=0.0, **geometry)


class NoPenalty(ZeroPenalty):
    penalty = None  # type: ignore[assignment]


def test_a_pathway_that_stays_closed_trains_as_the_p4cnn_bit_for_bit(tiny_registry: Registry, recipe: Recipe) -> None:
    class Closed(ResidualPathwayConv):
        def __init__(self, *sizes: int, **geometry: Any) -> None:
            super().__init__(*sizes, equivariant_strength=0, free_strength=0, scale=0, **geometry)
            self.free.requires_grad_(False)

    here, shape = task(tiny_registry, recipe), {"size": 8, "channels": 1, "classes": 10, "planes": 2, "dropout": 0.3}
    closed = trained(lambda: p4cnn(Closed, group=P4, **shape), here)
    module = tiny_registry.module("model", "p4cnn")
    usual = trained(lambda: module.build(**shape), here)
    assert same(usual, closed)


def test_the_penalty_is_added_to_the_loss_and_noted_apart(tiny_registry: Registry, recipe: Recipe) -> None:
    def make(strength: float) -> nn.Module:
        network = Small()
        network.penalty = lambda: strength * network.linear.weight.square().sum()
        return network

    strong, weak = (trained(partial(make, strength), task(tiny_registry, recipe)) for strength in (1.0, 0.0))
    assert float(strong.network["linear.weight"].norm()) < 0.9 * float(weak.network["linear.weight"].norm())
    assert strong.history[0]["train_penalty"] > 0.1


def test_a_penalty_that_is_no_number_fails_the_cell_and_names_the_epoch(
    tiny_registry: Registry, recipe: Recipe
) -> None:
    steps = iter(range(100))

    def penalty() -> Tensor:
        return torch.tensor(float("nan") if next(steps) >= 5 else 0.0)  # three steps an epoch: the sixth

    with pytest.raises(DivergedError, match="the penalty is nan in epoch 2"):
        trained(lambda: Small(penalty), task(tiny_registry, recipe))


def test_seeds_at_once_refuse_penalties_and_phases(tiny_registry: Registry, recipe: Recipe) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    two = with_phases(recipe, TrainingPhase(epochs=1), TrainingPhase())
    with pytest.raises(UserError, match="in one phase, which trains everything"):
        next(train_many_seeds([network], [task(tiny_registry, two)], [TrainingState()]))
    vars(network)["penalty"] = lambda: torch.zeros(())
    with pytest.raises(UserError, match="the network has a penalty"):
        next(train_many_seeds([network], [task(tiny_registry, recipe)], [TrainingState()]))


def with_precisions() -> LearntPriors:
    layers = {"flatten": nn.Flatten(), "linear": nn.Linear(64, 10)}
    return LearntPriors(layers, depths=(), burn_in=1, every=1, outputs=40)


def test_what_is_learnt_between_epochs_is_resumed_with_the_same_bits(tiny_registry: Registry, recipe: Recipe) -> None:
    here = task(tiny_registry, recipe)
    once = trained(with_precisions, here)
    assert float(once.network["images"]) == 48
    assert once.network["log_precision"].abs().min() > 0
    assert once.history[0]["train_penalty"] == 0
    assert all(epoch["train_penalty"] > 0 for epoch in once.history[1:])
    for stop in (1, 2):
        assert same(trained(with_precisions, here, stop), once)


def test_what_learns_between_epochs_is_given_all_images_as_they_are_tested(
    tiny_registry: Registry, recipe: Recipe
) -> None:
    seen: list[tuple[int, Tensor]] = []
    network = Small()
    vars(network)["learn_between_epochs"] = lambda epoch, batches: seen.append(
        (epoch, torch.cat([images for images, _ in batches]))
    )
    here = task(tiny_registry, recipe)
    for _ in train(network, here, TrainingState()):
        pass
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    assert all(torch.equal(images, here.train.batch(slice(48))) for _, images in seen)
    with pytest.raises(UserError, match="learns something between epochs"):
        next(train_many_seeds([network], [here], [TrainingState()]))


def test_a_probe_reads_after_every_epoch(tiny_registry: Registry, recipe: Recipe) -> None:
    seen = iter(range(9))
    state = trained(Small, task(tiny_registry, recipe, probe=lambda _: {"count": next(seen)}))
    assert [epoch["probes"] for epoch in state.history] == [{"count": 0}, {"count": 1}, {"count": 2}]
