"""The phases of a recipe: for how long which parameters are trained, at which rates, and what is added to the loss.

A module may name roles of its own parameters, `roles = {"raw": "degree"}`, have a `penalty()`, and a method
`learn_between_epochs`. Parameters without a role have the role `weights`. A recipe without phases is one phase that
trains all roles alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from gcnnbench.cards.recipe import SGD, Adam, Recipe, RoleRates, Schedule, TrainingPhase
from gcnnbench.errors import UserError
from gcnnbench.training.norm_statistics import norms_of

WEIGHTS = "weights"
NORM_BIASES = "norm-biases"


@dataclass(frozen=True)
class Phase:
    """Epochs `first` to `end` − 1, counted from 0, with one optimiser and one schedule."""

    first: int
    end: int
    optimiser: Adam | SGD
    schedule: Schedule
    rates: dict[str, RoleRates]
    trains: tuple[str, ...] | None

    @property
    def epochs(self) -> int:
        """How long it is."""
        return self.end - self.first


def phases(recipe: Recipe) -> list[Phase]:
    """The phases of a recipe in order; where the last one does not say its epochs, it has those that are left."""
    found: list[Phase] = []
    for card in recipe.phases or (TrainingPhase(),):
        first = found[-1].end if found else 0
        end = recipe.epochs if card.epochs is None else first + card.epochs
        found.append(
            Phase(
                first,
                end,
                card.optimiser or recipe.optimiser,
                card.schedule or recipe.schedule,
                card.roles or {},
                card.trains,
            )
        )
    return found


def roles(network: nn.Module) -> dict[str, str]:
    """The role of every parameter by its name in the network.

    Raises:
        UserError: a module names a role for a parameter that it does not have.
    """
    found: dict[str, str] = {}
    for prefix, module in network.named_modules():
        own = dict(module.named_parameters(recurse=False))
        named: dict[str, str] = getattr(module, "roles", {})
        if unknown := [name for name in named if name not in own]:
            where = prefix or "the network"
            raise UserError(f"{where} names a role for {unknown[0]!r}, which is none of its parameters")
        for name in own:
            found.setdefault(f"{prefix}.{name}".lstrip("."), named.get(name, WEIGHTS))
    return found


def parameter_groups(network: nn.Module, phase: Phase) -> list[dict[str, Any]]:
    """What an optimiser takes: the trained parameters, those with rates of their own in groups behind the others.

    A role that the network does not have is no error: one recipe serves networks with and without it.

    Raises:
        UserError: the phase trains none of the network's parameters.
    """
    by_role, special = roles(network), dict(phase.rates)
    apart = phase.optimiser.norm_biases if isinstance(phase.optimiser, SGD) else None
    if apart is not None:
        special[NORM_BIASES] = RoleRates(learning_rate=apart.learning_rate, weight_decay=apart.weight_decay)
        biases = {id(norm.bias) for norm in norms_of(network)}
        by_role |= {name: NORM_BIASES for name, one in network.named_parameters() if id(one) in biases}
    trained = [(by_role[name], one) for name, one in network.named_parameters() if one.requires_grad]
    groups: list[dict[str, Any]] = [{"params": [one for role, one in trained if role not in special]}]
    for role, rates in sorted(special.items()):
        own = {"lr": rates.learning_rate, "weight_decay": rates.weight_decay}
        given = {key: value for key, value in own.items() if value is not None}
        groups.append({"params": [one for its, one in trained if its == role], **given})
    groups = [group for group in groups if group["params"]]
    if not groups:
        raise UserError(f"the phase trains {', '.join(phase.trains or ())}, and this network has no such parameters")
    return groups


@contextmanager
def training_only(network: nn.Module, trains: Sequence[str] | None) -> Iterator[Callable[[], None]]:
    """Let only these roles have gradients (all where None); the flags are given back at the end.

    Yields:
        Puts the network in training mode, but for norms none of whose parameters are trained.
    """
    by_role = roles(network)
    before = {name: one.requires_grad for name, one in network.named_parameters()}
    if trains is not None:
        for name, one in network.named_parameters():
            one.requires_grad_(before[name] and by_role[name] in trains)
    resting = [
        module
        for module in norms_of(network)
        if trains is not None and not any(one.requires_grad for one in module.parameters())
    ]

    def train_mode() -> None:
        network.train()
        for module in resting:
            module.eval()

    try:
        yield train_mode
    finally:
        for name, one in network.named_parameters():
            one.requires_grad_(before[name])


def penalties(network: nn.Module) -> list[Callable[[], Tensor]]:
    """The penalties of the network and its modules, each a scalar that is added to the mean loss of a batch."""
    return _methods(network, "penalty")


def between_epochs(network: nn.Module) -> list[Callable[[int, Iterable[tuple[Tensor, Tensor]]], None]]:
    """What the network's modules learn between epochs: `learn_between_epochs(epochs done, batches of all images)`.

    They change buffers only, and draw nothing, so that a resumed run goes on with the same bits.
    """
    return _methods(network, "learn_between_epochs")


def _methods(network: nn.Module, name: str) -> list[Any]:
    """What the network's modules have under this name, where it can be called."""
    return [method for module in network.modules() if callable(method := getattr(module, name, None))]


def total_penalty(terms: Sequence[Callable[[], Tensor]]) -> Tensor | None:
    """The sum of penalties; null where there is none."""
    total: Tensor | None = None
    for term in terms:
        total = term() if total is None else total + term()
    return total
