"""A recorded step ends with the bits of the step as it is: on a tape that replays what reached the processor's kernels,
and on a GPU as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gcnnbench.cards.recipe import Recipe
from gcnnbench.cards.registry import Registry
from gcnnbench.data.images import prepare
from gcnnbench.data.registered import load_dataset
from gcnnbench.errors import UserError
from gcnnbench.nn.augerino import TurnedCopies
from gcnnbench.nn.dropout import Dropout
from gcnnbench.training.capture import CapturedStep, CudaGraph, Graph, recordable
from gcnnbench.training.loop import train
from gcnnbench.training.task import Task, TrainingState

SIZE, IMAGES = 9, 40  # of 16 a batch: the last of three has eight


class Tape(TorchDispatchMode):
    """A graph of the processor: kernels with their tensors, without a line of Python between them.

    As with a graph of a device nothing is left of the recording but places in memory: what was written over is put
    back, and the generator stands where it stood.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []
        self.before: dict[int, tuple[Tensor, Tensor]] = {}
        self.replays = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if "_local_scalar_dense" in str(func):
            raise RuntimeError("operation not permitted when stream is capturing")
        for argument, given in zip(func._schema.arguments, args, strict=False):
            if argument.alias_info is not None and argument.alias_info.is_write and isinstance(given, Tensor):
                self.before.setdefault(id(given), (given, given.detach().clone()))
        out = func(*args, **kwargs)
        self.calls.append((func, args, kwargs, out))
        return out

    def ahead(self, work: Callable[[], None]) -> None:
        work()

    def record(self, work: Callable[[], None]) -> None:
        state = torch.get_rng_state()
        try:
            with self:
                work()
        except RuntimeError as error:
            raise UserError(f"cannot be recorded: {error}") from error
        torch.set_rng_state(state)
        with torch.no_grad():
            for place, value in self.before.values():
                place.copy_(value)

    @torch.no_grad()
    def replay(self) -> None:
        self.replays += 1
        for func, args, kwargs, out in self.calls:
            for place, value in zip(tree_leaves(out), tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(place, Tensor) and place.untyped_storage().data_ptr() != (
                    value.untyped_storage().data_ptr()
                ):
                    place.copy_(value)


def built(registry: Registry, entry: str) -> nn.Module:
    """An entry at a small size; its dropout is torch's own, which draws on the device and not on the host."""
    torch.manual_seed(0)
    network = registry.build(f"{entry}@{SIZE}", registry.benchmark("tiny"))
    for owner in list(network.modules()):
        for name, child in list(owner.named_children()):
            if isinstance(child, Dropout):
                setattr(owner, name, nn.Dropout(child.p))
    return network


def trained(
    registry: Registry, entry: str, recipe: Recipe, make: Callable[[], Graph] | None, device: str = "cpu"
) -> TrainingState:
    part = load_dataset(registry, "digits", Path("unused"))["all"].select(slice(IMAGES))
    card = registry.benchmark("tiny").input.model_copy(update={"channels": 1})
    images, state = prepare(part, card, SIZE, device), TrainingState()
    task = Task("tiny", 0, recipe, images, None, torch.device(device), 1, graph=make)
    for _ in train(built(registry, entry).to(device), task, state):
        pass
    return state


def differing(one: TrainingState, other: TrainingState) -> list[str]:
    """What of two trained states has other bits."""
    found = [name for name in one.network if not torch.equal(one.network[name], other.network[name])]
    for index, values in one.optimiser["state"].items():
        for name, value in values.items():
            if not torch.equal(value, other.optimiser["state"][index][name]):
                found.append(f"optimiser {index} {name}")
    for epoch, again in zip(one.history, other.history, strict=True):
        found += [name for name in epoch if name != "seconds" and epoch[name] != again[name]]
    return found


RECIPES: dict[str, dict[str, Any]] = {
    "Adam, a rate of each epoch": {},
    "flips and crops": {"augmentation": {"horizontal_flip": True, "crop_padding": 1, "quarter_turns": True}},
    "SGD, a rate of each batch": {
        "optimiser": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4},
        "schedule": {"name": "one-cycle"},
    },
}


def recipe_with(registry: Registry, changes: dict[str, Any]) -> Recipe:
    plain = registry.benchmark("tiny").recipe.model_dump(mode="json")
    return Recipe.model_validate({**plain, "epochs": 2, "tested_model": "last", **changes})


@pytest.mark.parametrize("entry", ["p4cnn", "relaxed-p4cnn"])
@pytest.mark.parametrize("changes", RECIPES.values(), ids=RECIPES)
def test_a_recorded_step_has_the_bits_of_the_step_as_it_is(
    tiny_registry: Registry, entry: str, changes: dict[str, Any]
) -> None:
    recipe, tape = recipe_with(tiny_registry, changes), Tape()
    plain = trained(tiny_registry, entry, recipe, None)
    assert differing(plain, trained(tiny_registry, entry, recipe, lambda: tape)) == []
    assert tape.replays == 3, "of six batches: the first is made ahead, the last of each epoch is smaller"
    assert len(tape.calls) > 100


def test_a_replay_that_does_nothing_is_seen(tiny_registry: Registry) -> None:
    class Idle(Tape):
        """Replays once, and leaves the gradients of that batch to those after it."""

        def replay(self) -> None:
            if not self.replays:
                super().replay()

    recipe = recipe_with(tiny_registry, {})
    plain, idle = (trained(tiny_registry, "p4cnn", recipe, make) for make in (None, Idle))
    assert "train_loss" in differing(plain, idle)


def test_images_that_only_repeat_along_an_axis_stay_so() -> None:
    seen: list[tuple[int, ...]] = []

    def step(images: Tensor, _labels: Tensor) -> None:
        seen.append(images.stride())

    captured, grey = CapturedStep(step, [], Tape()), torch.rand(4, 1, 5, 5).expand(-1, 3, -1, -1)
    for _ in range(3):
        captured(grey, torch.zeros(4))
    assert seen == [grey.stride()] * 2


def test_what_needs_the_host_is_stepped_as_it_is(tiny_registry: Registry) -> None:
    class Foreign(nn.Module):
        pass

    class Settling(nn.Identity):
        def settle(self) -> None:
            pass

    ours = built(tiny_registry, "p4cnn")
    Settling.__module__ = "gcnnbench.made_up"
    assert recordable(ours)
    copies = TurnedCopies(ours, width=1.0, copies=2, black=(0.0,))
    assert not any(map(recordable, (copies, nn.Sequential(ours, Foreign()), Settling())))


def test_a_step_that_reads_a_number_back_cannot_be_recorded() -> None:
    def step(images: Tensor, _labels: Tensor) -> None:
        images.mul_(float(images.sum()))

    captured = CapturedStep(step, [], Tape())
    captured(torch.ones(2, 1), torch.ones(2))
    with pytest.raises(UserError, match="cannot be recorded: operation not permitted"):
        captured(torch.ones(2, 1), torch.ones(2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("entry", ["p4cnn", "p4mcnn", "z2cnn", "relaxed-p4cnn"])
@pytest.mark.parametrize("changes", RECIPES.values(), ids=RECIPES)
def test_a_cuda_graph_has_the_bits_of_the_step_as_it_is(
    tiny_registry: Registry, entry: str, changes: dict[str, Any]
) -> None:
    recipe = recipe_with(tiny_registry, changes)
    plain, again, recorded = (trained(tiny_registry, entry, recipe, make, "cuda") for make in (None, None, CudaGraph))
    assert differing(plain, again) == []
    assert differing(plain, recorded) == []
