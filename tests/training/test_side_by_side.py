"""Networks trained side by side end with the bits that each has alone, and leave torch as it was."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.cards.recipe import Recipe
from gcnnbench.cards.registry import Registry
from gcnnbench.device import Settings
from gcnnbench.errors import UserError
from gcnnbench.training import side_by_side
from gcnnbench.training.capture import CudaGraph, Graph
from gcnnbench.training.loop import DivergedError, Steps, train
from gcnnbench.training.side_by_side import Interleaved, InterleavedOnCuda, interleaved, train_side_by_side
from gcnnbench.training.task import TrainingState
from tests.cuda_streams import Streams
from tests.tape import PHASES, RECIPES, Tape, built, differing, recipe_with, task_of, trained

SEEDS = (0, 1)
Make = Callable[[], Graph] | None


def beside(
    registry: Registry,
    entry: str,
    recipe: Recipe,
    make: Make,
    states: list[TrainingState],
    *,
    device: str = "cpu",
    networks: list[nn.Module] | None = None,
) -> Generator[dict[int, BaseException], None, None]:
    """Train a seed of an entry for each state."""
    networks = networks or [built(registry, entry, seed) for seed in SEEDS]
    tasks = [task_of(registry, recipe, make, device, seed) for seed in SEEDS]
    return train_side_by_side([network.to(device) for network in networks], tasks, states)


def both_alone(registry: Registry, entry: str, recipe: Recipe, make: Make, device: str = "cpu") -> list[TrainingState]:
    return [trained(registry, entry, recipe, make, device, seed) for seed in SEEDS]


def of_torch() -> tuple[Settings, list[int]]:
    """What torch has once for a process, as values to compare."""
    return Settings.now("cpu"), torch.get_rng_state().tolist()


CASES: dict[str, tuple[str, dict[str, Any], Make]] = {
    "a fast recipe with lookahead, recorded": ("p4cnn", RECIPES["all of a fast recipe"], Tape),
    "norms estimated anew, recorded": ("p4cnn", RECIPES["norms estimated anew, the best of validation"], Tape),
    "half precision, recorded": ("p4cnn", RECIPES["a forward pass in half precision"], Tape),
    "phases, recorded": ("rpp-p4cnn", PHASES, Tape),
    "flips and crops, stepped as it is": ("p4cnn", RECIPES["flips and crops"], None),
    "images turned at random, which cannot be recorded": ("augerino-p4cnn", {}, Tape),
}


@pytest.mark.parametrize(("entry", "changes", "make"), CASES.values(), ids=CASES)
def test_each_has_the_bits_that_it_has_alone(
    tiny_registry: Registry, entry: str, changes: dict[str, Any], make: Make
) -> None:
    recipe, states = recipe_with(tiny_registry, changes), [TrainingState() for _ in SEEDS]
    alone = both_alone(tiny_registry, entry, recipe, make)
    networks = [built(tiny_registry, entry, seed) for seed in SEEDS]
    before = of_torch()
    for lost in beside(tiny_registry, entry, recipe, make, states, networks=networks):
        assert not lost
        assert of_torch() == before, "what torch has once is given back after every round"
    assert of_torch() == before
    for one, other in zip(states, alone, strict=True):
        assert differing(one, other) == []
        assert (one.schedule, one.tested_epoch, one.steps) == (other.schedule, other.tested_epoch, other.steps)
    assert differing(*states), "the seeds have networks and images of their own"


def test_random_numbers_that_are_not_kept_apart_are_seen(
    tiny_registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Interleaved, "current", lambda _: nullcontext())
    recipe, states = recipe_with(tiny_registry, {}), [TrainingState() for _ in SEEDS]
    with torch.random.fork_rng([]):
        for _ in beside(tiny_registry, "p4cnn", recipe, Tape, states):
            pass
    alone = both_alone(tiny_registry, "p4cnn", recipe, Tape)
    assert any("train_loss" in differing(one, other) for one, other in zip(states, alone, strict=True))


def test_a_network_that_diverges_is_lost_alone(tiny_registry: Registry) -> None:
    recipe, states = recipe_with(tiny_registry, {}), [TrainingState() for _ in SEEDS]
    networks = [built(tiny_registry, "p4cnn", seed) for seed in SEEDS]
    with torch.no_grad():
        next(networks[0].parameters()).fill_(float("nan"))
    rounds = 0
    for lost in beside(tiny_registry, "p4cnn", recipe, Tape, states, networks=networks):
        assert {place: str(error) for place, error in lost.items()} == {0: "the loss is nan in epoch 1"}
        rounds += 1
    assert rounds == 2
    assert states[0].epochs_done == 0
    assert differing(states[1], trained(tiny_registry, "p4cnn", recipe, Tape, seed=1)) == []


def test_where_all_are_lost_it_ends(tiny_registry: Registry) -> None:
    networks = [built(tiny_registry, "p4cnn", seed) for seed in SEEDS]
    with torch.no_grad():
        for network in networks:
            next(network.parameters()).fill_(float("inf"))
    states = [TrainingState() for _ in SEEDS]
    training = beside(tiny_registry, "p4cnn", recipe_with(tiny_registry, {}), None, states, networks=networks)
    [lost] = training
    assert [type(lost[place]) for place in (0, 1)] == [DivergedError, DivergedError]


def test_a_state_goes_on_alone_and_beside_others(tiny_registry: Registry) -> None:
    """One after two epochs that it made alone, one after an epoch made beside it, and all as if never interrupted."""
    recipe = recipe_with(tiny_registry, {"epochs": 3})
    alone = both_alone(tiny_registry, "p4cnn", recipe, Tape)
    first, second = TrainingState(), TrainingState()
    training = beside(tiny_registry, "p4cnn", recipe, Tape, [first, second])
    next(training)
    training.close()
    going_on = train(built(tiny_registry, "p4cnn", 0), task_of(tiny_registry, recipe, Tape), first)
    next(going_on)
    assert (first.epochs_done, second.epochs_done) == (2, 1)
    rounds = len(list(beside(tiny_registry, "p4cnn", recipe, Tape, [first, second])))
    assert rounds == 2
    for one, other in zip((first, second), alone, strict=True):
        assert differing(one, other) == []


def test_an_interruption_within_an_epoch_leaves_torch_as_it_was(tiny_registry: Registry) -> None:
    class Interrupted(Tape):
        """Is interrupted in the second step of the second epoch, when the other training has made the first."""

        def replay(self) -> None:
            if self.replays == 2:
                raise KeyboardInterrupt
            super().replay()

    recipe = recipe_with(tiny_registry, {**PHASES, "numeric_mode": "bf16"})
    networks = [built(tiny_registry, "rpp-p4cnn", seed) for seed in SEEDS]
    states = [TrainingState() for _ in SEEDS]
    training = beside(tiny_registry, "rpp-p4cnn", recipe, Interrupted, states, networks=networks)
    next(training)
    torch.rand(1)
    before = of_torch()
    with pytest.raises(KeyboardInterrupt):
        next(training)
    assert of_torch() == before
    assert all(one.requires_grad for network in networks for one in network.parameters())


def test_the_seconds_of_an_epoch_are_a_share(tiny_registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0.0, 6.0, 10.0, 18.0, 20.0, 20.0))
    monkeypatch.setattr(side_by_side, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    states = [TrainingState() for _ in SEEDS]
    for _ in beside(tiny_registry, "p4cnn", recipe_with(tiny_registry, {}), None, states):
        pass
    assert [[epoch["seconds"] for epoch in state.history] for state in states] == [[3.0, 4.0]] * 2


def test_a_device_whose_generator_cannot_be_switched_is_refused() -> None:
    nothing: Steps = (None for _ in range(0))
    with pytest.raises(UserError, match="side by side on cpu and cuda, not on mps"):
        interleaved(torch.device("mps"), nothing)


class DeviceGenerator:
    """A generator whose state may be exchanged by reference, and not by its numbers."""

    def __init__(self, state: list[int]) -> None:
        self.state = state

    def clone_state(self) -> DeviceGenerator:
        return DeviceGenerator(list(self.state))

    def graphsafe_get_state(self) -> DeviceGenerator:
        return DeviceGenerator(self.state)

    def graphsafe_set_state(self, other: DeviceGenerator) -> None:
        self.state = other.state


def test_streams_wait_for_one_another_around_epochs_and_not_between_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    streams, generator = Streams(monkeypatch), DeviceGenerator([0])
    log, outside = streams.log, generator.state

    def training() -> Steps:
        for epoch in range(2):
            generator.state[0] = 100  # as an epoch seeds it
            for _ in range(2):
                generator.state[0] += 1  # as a replay moves it on
                log.append(f"{streams.current} draws {generator.state[0]}")
                yield None
            yield TrainingState(epochs_done=epoch + 1)

    monkeypatch.setattr(side_by_side, "generator_of", lambda _: generator)
    trainings = [interleaved(torch.device("cuda"), training()) for _ in range(2)]
    assert all(type(one) is InterleavedOnCuda for one in trainings)
    for _ in range(3):
        for one in trainings:
            next(one)
            assert generator.state is outside
    assert log == [
        "a waits for main", "a draws 101", "b waits for main", "b draws 101",
        "a draws 102", "b draws 102",
        "main waits for a", "main waits for b",
    ]  # fmt: skip
    del log[:]
    first = trainings[0]
    assert isinstance(first, InterleavedOnCuda)
    next(first)
    first.close()
    assert log == ["a waits for main", "a draws 101", "main waits for a"]
    assert outside == [0]
    own: object = first.generator
    assert isinstance(own, DeviceGenerator)
    assert own.state is not outside


def test_a_graph_is_recorded_on_the_current_stream_unless_it_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    streams = Streams(monkeypatch)
    CudaGraph().ahead(lambda: streams.log.append(f"{streams.current} steps"))
    assert streams.log == ["a waits for main", "a steps", "main waits for a"]
    stream: Any = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        graph: Any = CudaGraph()
    assert graph.stream is stream


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    ("entry", "changes", "recorded"), [(a, b, make is Tape) for a, b, make in CASES.values()], ids=CASES
)
def test_each_has_the_bits_that_it_has_alone_on_a_gpu(
    tiny_registry: Registry, entry: str, changes: dict[str, Any], *, recorded: bool
) -> None:
    recipe, make = recipe_with(tiny_registry, changes), CudaGraph if recorded else None
    states = [TrainingState() for _ in SEEDS]
    alone = both_alone(tiny_registry, entry, recipe, make, "cuda")
    networks = [built(tiny_registry, entry, seed) for seed in SEEDS]
    before: Tensor = torch.cuda.get_rng_state()
    for lost in beside(tiny_registry, entry, recipe, make, states, device="cuda", networks=networks):
        assert not lost
    for one, other in zip(states, alone, strict=True):
        assert differing(one, other) == []
    assert torch.equal(torch.cuda.get_rng_state(), before)
