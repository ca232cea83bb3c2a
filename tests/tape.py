"""A tape of kernels that stands for a CUDA graph on a processor, and small trainings that are recorded on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from gcnnbench.cards.recipe import Recipe
from gcnnbench.cards.registry import Registry
from gcnnbench.data.images import prepare
from gcnnbench.data.registered import load_dataset
from gcnnbench.errors import UserError
from gcnnbench.nn.dropout import Dropout
from gcnnbench.probes import probing
from gcnnbench.training.capture import Graph
from gcnnbench.training.loop import train
from gcnnbench.training.task import Task, TrainingState

SIZE, FIRST, NEXT = 9, slice(0, 40), slice(40, 56)  # of 16 a batch: the last of three has eight


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


def built(registry: Registry, entry: str, seed: int = 0) -> nn.Module:
    """An entry at a small size; its dropout is torch's own, which draws on the device and not on the host."""
    torch.manual_seed(seed)
    network = registry.build(f"{entry}@{SIZE}", registry.benchmark("tiny"))
    for owner in list(network.modules()):
        for name, child in list(owner.named_children()):
            if isinstance(child, Dropout):
                setattr(owner, name, nn.Dropout(child.p))
    return network


def task_of(
    registry: Registry, recipe: Recipe, make: Callable[[], Graph] | None, device: str = "cpu", seed: int = 0
) -> Task:
    """Forty images to train on, other ones for each seed, and sixteen to validate with."""
    digits, protocol = load_dataset(registry, "digits", Path("unused"))["all"], registry.benchmark("tiny")
    first = slice(FIRST.start + 100 * seed, FIRST.stop + 100 * seed)
    images, held = (prepare(digits.select(some), protocol.input, SIZE, device) for some in (first, NEXT))
    probe = probing(protocol.evaluation.model_copy(update={"probes": ("degree",)}), held)
    return Task("tiny", seed, recipe, images, held, torch.device(device), 1, probe, make)


def trained(
    registry: Registry, entry: str, recipe: Recipe, make: Callable[[], Graph] | None, device: str = "cpu", seed: int = 0
) -> TrainingState:
    """The state of an entry that was trained alone."""
    state = TrainingState()
    for _ in train(built(registry, entry, seed).to(device), task_of(registry, recipe, make, device, seed), state):
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
