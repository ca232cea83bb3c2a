"""What a network makes of its weights in `eval()` is made of the weights that it is judged with."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from gcnnbench.equivariance.audit import audit


class Expanding(nn.Module):
    """A lifting convolution relaxed by free filters, which are nothing at first; both are added up in `eval()`."""

    starts: ClassVar[float] = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.linear = nn.Parameter(torch.randn(4, 1, 3, 3)), nn.Linear(4, 5)
        self.free = nn.Parameter(torch.full((16, 1, 3, 3), self.starts))

    def expand_parameters(self) -> Tensor:
        """Named as e2cnn names it."""
        return torch.stack([self.weight.rot90(turn, (-2, -1)) for turn in range(4)], 1).flatten(0, 1) + self.free

    def train(self, mode: bool = True) -> Expanding:
        if mode:
            vars(self)["_buffers"].pop("filter", None)
        else:
            self.register_buffer("filter", self.expand_parameters().detach())
        return super().train(mode)

    def forward(self, images: Tensor) -> Tensor:
        filters = self.expand_parameters() if self.training else self.get_buffer("filter")
        lifted = conv2d(images, filters).relu().mean((-2, -1)).unflatten(1, (4, 4))
        logits: Tensor = self.linear(lifted.amax(2))
        return logits


class Fixed(Expanding):
    """The same without free filters."""

    def __init__(self) -> None:
        super().__init__()
        self.free.requires_grad_(False)


@pytest.mark.parametrize(("kind", "decision"), [(Expanding, "approximate"), (Fixed, "exact")])
@pytest.mark.parametrize("training", [False, True])
def test_filters_that_are_kept_in_evaluation_mode_are_drawn_anew(
    kind: type[Expanding], decision: str, training: bool
) -> None:
    torch.manual_seed(0)
    network = kind().train(training)
    held = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    parameters = dict(network.named_parameters())
    assert audit(network, [12], channels=1).sizes[0].decision == decision
    assert network.state_dict().keys() == held.keys()
    assert all(torch.equal(tensor, held[name]) for name, tensor in network.state_dict().items())
    assert all(one is parameters[name] for name, one in network.named_parameters())
    assert network(torch.rand(2, 1, 12, 12)).dtype == torch.float32
