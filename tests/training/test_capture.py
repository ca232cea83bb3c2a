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
from torch.utils._pytree import tree_leaves

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.registry import Registry
from gcnnbench.data.images import prepare
from gcnnbench.data.registered import load_dataset
from gcnnbench.errors import UserError
from gcnnbench.nn.augerino import TurnedCopies
from gcnnbench.training.capture import CapturedStep, CudaGraph, recordable
from gcnnbench.training.phases import penalties, total_penalty
from gcnnbench.training.task import Task
from tests.cuda_streams import Streams
from tests.tape import PHASES, RECIPES, Tape, built, differing, recipe_with, trained


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

    class Learning(nn.Identity):
        def learn_between_epochs(self) -> None:
            pass

    class Brought(nn.Identity):
        pass

    ours = built(tiny_registry, "p4cnn")
    Learning.__module__ = "gcnnbench.made_up"
    Brought.__module__ = "gcnnbench.models.brought.model"
    assert recordable(ours)
    copies = TurnedCopies(ours, width=1.0, copies=2, black=(0.0,))
    hooked = nn.Identity()
    hooked.register_forward_hook(lambda _module, _given, made: made)
    images = prepare(load_dataset(tiny_registry, "digits", Path())["all"], tiny_registry.benchmark("tiny").input, 8)
    task = Task("tiny", 0, recipe_with(tiny_registry, {}), images, None, torch.device("cpu"), 1, graph=Tape)
    assert [task.records(ours), task.records(copies), replace(task, graph=None).records(ours)] == [True, False, False]
    strange = [nn.Sequential(ours, other) for other in (Foreign(), Brought(), hooked)]
    assert not any(map(recordable, (copies, Learning(), *strange)))


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
    Streams(monkeypatch)
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
