"""The optimiser and the learning-rate schedule that a recipe names."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import ConstantLR, LambdaLR, LRScheduler, MultiStepLR, OneCycleLR, StepLR

from gcnnbench.cards import recipe
from gcnnbench.training.phases import Phase, parameter_groups


def optimiser_for(network: nn.Module, phase: Phase) -> Optimizer:
    """A phase's optimiser over the parameters that it trains; weight decay is part of the gradient, as in PyTorch."""
    groups, card = parameter_groups(network, phase), phase.optimiser
    if isinstance(card, recipe.Adam):
        return Adam(groups, lr=card.learning_rate, weight_decay=card.weight_decay)
    return SGD(
        groups,
        lr=card.learning_rate,
        momentum=card.momentum,
        nesterov=card.nesterov,
        weight_decay=card.weight_decay,
    )


def schedule_for(optimiser: Optimizer, phase: Phase, steps_per_epoch: int) -> LRScheduler:
    """A phase's learning-rate schedule; it scales the rates of all groups alike."""
    card = phase.schedule
    if isinstance(card, recipe.StepDecay):
        return StepLR(optimiser, card.every, card.factor)
    if isinstance(card, recipe.MultiStepDecay):
        return MultiStepLR(optimiser, list(card.epochs), card.factor)
    if isinstance(card, recipe.OneCycle):
        peaks = [group["lr"] for group in optimiser.param_groups]
        return OneCycleLR(optimiser, peaks, epochs=phase.epochs, steps_per_epoch=steps_per_epoch)
    if isinstance(card, recipe.Triangular):
        return LambdaLR(optimiser, _triangle(card, phase.epochs * steps_per_epoch))
    return ConstantLR(optimiser, factor=1.0, total_iters=0)


def _triangle(card: recipe.Triangular, steps: int) -> Callable[[int], float]:
    """The factor of the learning rate at each step."""

    def factor(step: int) -> float:
        peak = card.rise * steps
        if step < peak:
            return card.start + (1 - card.start) * step / peak
        return 1 - (1 - card.end) * (step - peak) / (steps - peak)

    return factor


def every_batch(phase: Phase) -> bool:
    """Whether the schedule is stepped after every batch, or else after every epoch."""
    return isinstance(phase.schedule, recipe.OneCycle | recipe.Triangular)
