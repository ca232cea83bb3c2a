"""Slow weights that follow the trained ones and replace them from time to time, where a recipe has lookahead."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gcnnbench.cards import recipe


class SlowWeights:
    """The slow weights of a network in training; `gcnnbench.cards.recipe.Lookahead` has the formula.

    Args:
        network: what is trained; its state is followed by name.
        card: how.
        steps: the steps of the whole training.
        done: the steps made so far.
        kept: the slow weights after them; the network's own where there are none yet.
    """

    def __init__(
        self, network: nn.Module, card: recipe.Lookahead, steps: int, done: int, kept: Mapping[str, Tensor]
    ) -> None:
        self.network, self.card, self.steps, self.done = network, card, steps, done
        followed = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
        self.weights = {name: kept.get(name, value).to(value.device, copy=True) for name, value in followed.items()}

    @torch.no_grad()
    def step(self) -> None:
        """Follow and replace, if after this step of the optimiser they are to."""
        self.done += 1
        due, last = self.done % self.card.every == 0, self.done == self.steps
        staying = self.card.decay**self.card.every * (self.done / self.steps) ** 3
        state = self.network.state_dict() if due or last else {}
        for name, slow in self.weights.items():
            if due:
                slow.lerp_(state[name], 1 - staying)
            if due or last:
                state[name].copy_(slow)
