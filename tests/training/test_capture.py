"""A recorded step ends with the bits of the step as it is: on a tape that replays what reached the processor's kernels,
and on a GPU as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.recipe import Recipe
from gcnnbench.cards.registry import Registry
from gcnnbench.data.images import prepare
from gcnnbench.data.registered import load_dataset
from gcnnbench.errors import UserError
from gcnnbench.nn.augerino import TurnedCopies
from gcnnbench.nn.dropout import Dropout
from gcnnbench.probes import probing
from gcnnbench.training.capture import CapturedStep, CudaGraph, Graph, recordable
from gcnnbench.training.loop import train
from gcnnbench.training.phases import penalties, total_penalty
from gcnnbench.training.task import Task, TrainingState

SIZE, FIRST, NEXT = 9, slice(40), slice(40, 56)  # of 16 a batch: the last of three has eight


HOSTLY = ("_local_scalar_dense", "nonzero", "masked_select", "lift_fresh")
"""Kernels that read from the device what the host then knows, or that bring numbers of the host into a tensor."""


class Tape(TorchDispatchMode):
    """A graph of the processor: kernels with their places in memory, without a line of Python between them.

    As with a graph of a device nothing is left of the recording but those places: what was written over is put back,
    and the generator stands where it stood. A tensor that moves afterwards leaves the tape its old place.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []
        self.before: dict[int, tuple[Tensor, Tensor]] = {}
        self.replays = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if any(name in str(func) for name in HOSTLY):
            raise RuntimeError("operation not permitted when stream is capturing")
        for argument, given in zip(func._schema.arguments, args, strict=False):
            if argument.alias_info is not None and argument.alias_info.is_write and isinstance(given, Tensor):
                self.before.setdefault(id(given), (given, given.detach().clone()))
        out = func(*args, **kwargs)
        self.calls.append((func, *tree_map(_place, (args, kwargs, out))))
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


def _place(value: Any) -> Any:
    """A tensor's memory without the tensor, which may come to stand elsewhere."""
    return value.detach() if isinstance(value, Tensor) else value


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
    digits, protocol = load_dataset(registry, "digits", Path("unused"))["all"], registry.benchmark("tiny")
    images, held = (prepare(digits.select(some), protocol.input, SIZE, device) for some in (FIRST, NEXT))
    probe = probing(protocol.evaluation.model_copy(update={"probes": ("degree",)}), held)
    state, task = TrainingState(), Task("tiny", 0, recipe, images, held, torch.device(device), 1, probe, make)
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
    "all of a fast recipe": {
        "optimiser": {
            "name": "sgd",
            "learning_rate": 0.1,
            "momentum": 0.85,
            "nesterov": True,
            "weight_decay": 1e-3,
            "norm_biases": {"learning_rate": 0.8, "weight_decay": 1e-4},
        },
        "schedule": {"name": "triangular", "start": 0.2, "rise": 0.25, "end": 0.1},
        "label_smoothing": 0.2,
        "lookahead": {"every": 2, "decay": 0.9},
        "augmentation": {"crop_padding": 1, "crop_border": "reflected", "alternating_flip": True},
    },
    "norms estimated anew, the best of validation": {
        "norm_statistics": "re-estimated",
        "tested_model": "best-validation",
    },
    "a forward pass in half precision": {"numeric_mode": "bf16"},
}
PHASES: dict[str, Any] = {
    "epochs": 4,
    "phases": (
        {"epochs": 2, "roles": {"free": {"learning_rate": 0.05}}},
        {"trains": ("free",), "optimiser": {"name": "adam", "learning_rate": 0.01, "weight_decay": 0.0}},
    ),
}
"""In the second one norms and equivariant weights rest."""


def recipe_with(registry: Registry, changes: dict[str, Any]) -> Recipe:
    plain = registry.benchmark("tiny").recipe.model_dump(mode="json")
    return Recipe.model_validate({**plain, "epochs": 2, "tested_model": "last", **changes})


@pytest.mark.parametrize(
    ("entry", "changes"),
    [*(("p4cnn", changes) for changes in RECIPES.values()), ("relaxed-p4cnn", {})],
    ids=[*RECIPES, "a penalty that is learnt"],
)
def test_a_recorded_step_has_the_bits_of_the_step_as_it_is(
    tiny_registry: Registry, entry: str, changes: dict[str, Any]
) -> None:
    recipe, tape = recipe_with(tiny_registry, changes), Tape()
    plain = trained(tiny_registry, entry, recipe, None)
    assert differing(plain, trained(tiny_registry, entry, recipe, lambda: tape)) == []
    assert tape.replays == 3, "of six batches: the first is made ahead, the last of each epoch is smaller"
    assert len(tape.calls) > 100


def test_each_phase_is_recorded_for_itself(tiny_registry: Registry) -> None:
    recipe, tapes = recipe_with(tiny_registry, PHASES), list[Tape]()

    def another() -> Tape:
        tapes.append(Tape())
        return tapes[-1]

    plain, recorded = (trained(tiny_registry, "rpp-p4cnn", recipe, make) for make in (None, another))
    assert differing(plain, recorded) == []
    assert [tape.replays for tape in tapes] == [3, 3]
    assert len(tapes[1].calls) < len(tapes[0].calls), "the second phase has fewer gradients"


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

    captured, grey = CapturedStep(step, nn.Identity(), Tape()), torch.rand(4, 1, 5, 5).expand(-1, 3, -1, -1)
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
    hooked = nn.Identity()
    hooked.register_forward_hook(lambda _module, _given, made: made)
    images = prepare(load_dataset(tiny_registry, "digits", Path())["all"], tiny_registry.benchmark("tiny").input, 8)
    task = Task("tiny", 0, recipe_with(tiny_registry, {}), images, None, torch.device("cpu"), 1, graph=Tape)
    assert [task.records(ours), task.records(copies), replace(task, graph=None).records(ours)] == [True, False, False]
    assert not any(map(recordable, (copies, nn.Sequential(ours, Foreign()), Settling(), nn.Sequential(ours, hooked))))


def test_a_step_that_reads_a_number_back_cannot_be_recorded() -> None:
    def step(images: Tensor, _labels: Tensor) -> None:
        images.mul_(float(images.sum()))

    captured = CapturedStep(step, nn.Identity(), Tape())
    captured(torch.ones(2, 1), torch.ones(2))
    with pytest.raises(UserError, match="cannot be recorded: operation not permitted"):
        captured(torch.ones(2, 1), torch.ones(2))


def one_step(network: nn.Module) -> CapturedStep:
    """A step of a network whose gradients are those of the sum of its outputs."""

    def step(images: Tensor, _labels: Tensor) -> None:
        network.zero_grad(set_to_none=True)
        network(images).sum().backward()

    return CapturedStep(step, network, Tape())


def moved(network: nn.Linear) -> None:
    network.double().float()


def replaced(network: nn.Linear) -> None:
    network.bias = nn.Parameter(network.bias.detach().clone())


@pytest.mark.parametrize("change", [moved, replaced])
def test_a_network_whose_tensors_went_elsewhere_is_not_replayed(change: Callable[[nn.Linear], None]) -> None:
    network = nn.Linear(3, 2)
    captured, batch = one_step(network), (torch.rand(4, 3), torch.zeros(4))
    captured(*batch)
    captured(*batch)
    change(network)
    with pytest.raises(UserError, match="a layer put other tensors in the place of the recorded ones"):
        captured(*batch)


def test_a_layer_that_puts_a_new_buffer_in_place_of_the_old_is_not_replayed() -> None:
    class Counting(nn.Linear):
        def forward(self, features: Tensor) -> Tensor:
            self.seen = self.get_buffer("seen") + 1
            return super().forward(features) * self.seen

    network = Counting(3, 2)
    network.register_buffer("seen", torch.zeros(()))
    captured, batch = one_step(network), (torch.rand(4, 3), torch.zeros(4))
    captured(*batch)
    with pytest.raises(UserError, match="run it without --cuda-graphs"):
        captured(*batch)


def test_images_of_another_layout_are_stepped_as_they_are() -> None:
    captured, tape = CapturedStep(lambda _images, _labels: None, nn.Identity(), Tape()), torch.zeros(2)
    for images in (torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last)):
        captured(images, tape)
    assert captured.places is None


def test_a_device_without_memory_for_a_recording_says_nothing_of_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine hands such a cell out again; a step that cannot be recorded fails it."""
    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    monkeypatch.setattr(torch.cuda, "Stream", object)
    monkeypatch.setattr(torch.cuda, "graph", lambda *_, **__: nullcontext())

    def raising(error: Exception) -> Callable[[], None]:
        def work() -> None:
            raise error

        return work

    with pytest.raises(torch.OutOfMemoryError):
        CudaGraph().record(raising(torch.OutOfMemoryError("CUDA out of memory")))
    with pytest.raises(UserError, match="cannot be recorded as a CUDA graph: operation not permitted"):
        CudaGraph().record(raising(torch.AcceleratorError("operation not permitted when stream is capturing")))


class OnTheDevice(TorchDispatchMode):
    """Refuses what a graph cannot hold, where `meta` stands for the device: any tensor that the host has."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.batch_norm_update_stats.default:  # has no form for meta
            return tuple(args[0].new_empty(args[0].shape[1]) for _ in range(2))
        out = func(*args, **(kwargs or {}))
        for value in tree_leaves((args, kwargs, out)):
            if isinstance(value, Tensor) and value.device.type != "meta":
                raise AssertionError(f"{func} has a tensor of shape {tuple(value.shape)} on the host")
        return out


def test_a_step_of_every_kind_of_layer_touches_the_device_alone_and_keeps_no_count(tiny_registry: Registry) -> None:
    """Of all registered entries, smallest first, each that has a layer that no smaller one has, without arithmetic."""
    seen, tried = set[type[nn.Module]](), 0
    boards = {entry: board for board in tiny_registry.benchmarks.values() for entry in board.entries}
    smallest = {slug: min(e for e in boards if split_entry(e)[0] == slug) for slug in map(slug_of, boards)}
    own = {e: boards[e] for e in smallest.values() if not tiny_registry.model(slug_of(e)).requires}
    for entry, board in sorted(own.items(), key=lambda pair: tiny_registry.model(slug_of(pair[0])).parameters[0].count):
        with torch.device("meta"):
            network = tiny_registry.build(entry, board).train()
            channels, size = board.input.channels, split_entry(entry)[1]
            images, labels = torch.rand(4, channels, size, size), torch.zeros(4, dtype=torch.int64)
        if not recordable(network) or seen >= (kinds := {type(module) for module in network.modules()}):
            continue
        seen, tried, before = seen | kinds, tried + 1, in_python(network)
        with OnTheDevice():  # type: ignore[no-untyped-call]
            loss = F.cross_entropy(network(images), labels, label_smoothing=0.1)
            penalty = total_penalty(penalties(network))
            (loss if penalty is None else loss + penalty).backward()
        assert in_python(network) == before, f"{entry} changes something in each step that a replay would not"
    assert tried >= 10


def slug_of(entry: str) -> str:
    return split_entry(entry)[0]


def in_python(network: nn.Module) -> list[dict[str, Any]]:
    """What a network's modules keep that are no tensors or modules."""
    return [
        {name: value for name, value in vars(module).items() if not name.startswith("_")}
        for module in network.modules()
    ]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    ("entry", "changes"),
    [
        *(("p4cnn", changes) for changes in RECIPES.values()),
        *((entry, {}) for entry in ("p4mcnn", "z2cnn", "relaxed-p4cnn")),
        ("rpp-p4cnn", PHASES),
    ],
    ids=[*RECIPES, "p4mcnn", "z2cnn", "a penalty that is learnt", "phases"],
)
def test_a_cuda_graph_has_the_bits_of_the_step_as_it_is(
    tiny_registry: Registry, entry: str, changes: dict[str, Any]
) -> None:
    recipe = recipe_with(tiny_registry, changes)
    plain, again, recorded = (trained(tiny_registry, entry, recipe, make, "cuda") for make in (None, None, CudaGraph))
    assert differing(plain, again) == []
    assert differing(plain, recorded) == []
