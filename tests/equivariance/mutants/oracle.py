"""Brute force, which shares no code with the audit: is a network exact, whatever values its weights have?

In float64, on images that are noise and on smooth ones, the outputs of an image and of its moved copies are compared:
with the weights as given and with others, drawn at growing distances from them, norm statistics too. The weights as
given and those of one draw are tried in other ranges of values and at other batch sizes, too.
"""

from __future__ import annotations

import copy
import warnings

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gcnnbench.nn.groups import Group

ROUNDING, BROKEN = 3e-11, 1e-9
"""Exact is what stays below the one in every state, broken what is above the other in one."""
DISTANCES = (0.0, 0.05, 0.2, 0.2, 0.5, 1.0)
"""How far the weights of each state are from the given ones, in units of their root mean square."""
ELSEWHERE = (0.0, 0.5)
"""The distances at which the further ranges and batches are tried."""
RANGES = ((0.0, 1.0), (0.0, 200.0), (-9.0, -1.0), (-0.02, 0.02))
TELLS = 1e-12, 1e-4
"""An output tells nothing whose spread is a smaller share of its size: on the images, and in a further range, where
nothing is known of the spread and rounding must stay below `ROUNDING` of it.
"""
BATCHES = (1, 2, 3, 6, 150)
MOVES = {
    "p2": ((0, 2),),
    "pm": ((1, 0),),
    "p4": ((0, 1), (0, 2), (0, 3)),
    "p4m": ((0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)),
}
"""By the name of a group: (mirrored left to right, then quarter turns)."""


class NoAnswerError(Exception):
    """The output is random, the same for all images or not finite as given."""


def truth(network: nn.Module, size: int, group: Group, channels: int = 3) -> tuple[bool | None, float]:
    """Whether the network is exact, None where brute force cannot tell, and the largest relative error of all states.

    Raises:
        NoAnswerError: there is no answer.
    """
    generator = torch.Generator().manual_seed(3)
    noise = torch.rand(3, channels, size, size, generator=generator, dtype=torch.float64) * 2 - 1
    coarse = torch.rand(3, channels, 5, 5, generator=generator, dtype=torch.float64) * 2 - 1
    images = torch.cat([noise, interpolate(coarse, size, mode="bicubic")])
    shares = (images.clamp(-1, 1) + 1) / 2
    errors = []
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for distance in DISTANCES:
            state, moves = _state(network, distance, images, generator), MOVES[group.name]
            found = _error(state, images, moves)
            if found is None and not distance:
                raise NoAnswerError
            errors.append(found or 0.0)
            if distance in ELSEWHERE:
                for low, high in RANGES:
                    errors.append(_error(state, low + shares * (high - low), moves, tells=TELLS[1]) or 0.0)
                errors += [_error(state, images, moves, at_once) or 0.0 for at_once in BATCHES]
    worst = max(errors)
    return (True if worst < ROUNDING else False if worst > BROKEN else None), worst


def _state(network: nn.Module, distance: float, images: Tensor, generator: torch.Generator) -> nn.Module:
    """A copy in float64 and evaluation mode, its trainable parameters and norm statistics drawn around the given."""

    def normal(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float64)

    made = copy.deepcopy(network).double().eval()
    for parameter in made.parameters() if distance else ():
        if parameter.requires_grad:
            parameter.add_(distance * max(float(parameter.square().mean().sqrt()), 0.1) * normal(parameter))
    for module in made.modules() if distance else ():
        mean, variance = getattr(module, "running_mean", None), getattr(module, "running_var", None)
        if isinstance(mean, Tensor) and isinstance(variance, Tensor):
            mean.add_(distance * variance.sqrt() * normal(mean))
            variance.mul_((distance * normal(variance)).clamp(-1, 1).exp())
    return made


def _error(
    network: nn.Module,
    images: Tensor,
    moves: tuple[tuple[int, int], ...],
    at_once: int | None = None,
    tells: float = TELLS[0],
) -> float | None:
    """The largest `rms(f(g x) − f(x)) / rms(f(x) − mean f)`; None where the output tells nothing."""

    def answers(shown: Tensor) -> Tensor:
        size = at_once or len(shown)
        repeated = shown[torch.arange(max(size, len(shown))) % len(shown)]
        return torch.cat([network(some.clone()) for some in repeated.split(size)])[: len(shown)]

    upright = answers(images)
    spread = float((upright - upright.mean(0)).square().mean().sqrt())
    again = answers(images)
    if not torch.equal(again, upright) or not spread > tells * float(upright.abs().max()):
        return None
    worst = 0.0
    for mirrored, turns in moves:
        moved = (images.flip(-1) if mirrored else images).rot90(turns, (-2, -1))
        found = answers(moved)
        error = float((found - upright).square().mean().sqrt() / spread) if found.shape == upright.shape else 1e9
        worst = max(worst, error)
    return worst if worst == worst else None
