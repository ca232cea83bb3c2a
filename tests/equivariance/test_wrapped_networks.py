"""A network is run as it is: with what its wrapper does, in evaluation mode, and in the arithmetic that it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, dropout

from gcnnbench.equivariance.audit import audit
from gcnnbench.equivariance.factories import auditable
from gcnnbench.errors import UserError


class Inner(nn.Module):
    """Exact: it works on each pixel alone, and takes their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(1, 8, 1), nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.conv(images).relu().mean((-2, -1)))
        return logits


def ramp(images: Tensor) -> Tensor:
    """Images whose columns are told apart."""
    return images * torch.linspace(0, 1, images.shape[-1], dtype=images.dtype)


class HandsOn(nn.Module):
    """A wrapper that answers for what it holds, and does something of its own to the images."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.compile(Inner(), backend="eager")

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.inner(ramp(images))
        return logits


class Parallel(nn.DataParallel[Inner]):
    """One for several devices that does something of its own to the images."""

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.module(ramp(images))
        return logits


def hooked(network: nn.Module) -> nn.Module:
    network.register_forward_pre_hook(lambda _, given: (ramp(given[0]),))
    return network


def test_what_answers_for_another_network_is_not_taken_for_it() -> None:
    assert audit(HandsOn(), [12], channels=1).sizes[0].decision == "approximate"


@pytest.mark.parametrize(
    "make",
    [
        lambda: Parallel(Inner()),
        lambda: hooked(nn.DataParallel(Inner())),
        lambda: hooked(torch.compile(Inner(), backend="eager")),  # type: ignore[arg-type]
    ],
)
def test_a_wrapper_that_does_more_is_not_taken_off(make: Callable[[], nn.Module]) -> None:
    with pytest.raises(UserError, match="hooks or a forward pass of its own, which would be left out"):
        auditable(make(), "theirs")


class Lifting(nn.Module):
    """A lifting convolution that is right in one mode only, or drops features in training."""

    def __init__(self, right_in: str) -> None:
        super().__init__()
        self.weight, self.linear = nn.Parameter(torch.randn(4, 1, 3, 3)), nn.Linear(4, 5)
        self.right_in = right_in

    def expand_parameters(self) -> Tensor:
        """Named as e2cnn names it."""
        return torch.stack([self.weight.rot90(turn, (-2, -1)) for turn in range(4)], 1).flatten(0, 1)

    def forward(self, images: Tensor) -> Tensor:
        turned = {"training": self.training, "evaluation": not self.training, "both": True}[self.right_in]
        bank = self.expand_parameters() if turned else self.weight.repeat_interleave(4, 0)
        lifted = dropout(conv2d(images, bank).relu(), 0.3, self.training)
        logits: Tensor = self.linear(lifted.mean((-2, -1)).unflatten(1, (4, 4)).amax(2))
        return logits


@pytest.mark.parametrize(
    ("right_in", "verdict"), [("training", "approximate"), ("evaluation", "exact"), ("both", "exact")]
)
def test_only_e2cnn_s_own_convolutions_are_kept_in_training_mode(right_in: str, verdict: str) -> None:
    torch.manual_seed(0)
    assert audit(Lifting(right_in), [12], channels=1).sizes[0].decision == verdict


def test_a_hook_on_every_module_of_the_process_is_none_of_the_wrappers() -> None:
    inner = Inner()
    hook = torch.nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        assert auditable(nn.DataParallel(inner), "theirs") is inner
    finally:
        hook.remove()


class Mixed(nn.Module):
    """First and last layer in float32, most of the weights in bfloat16 between them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(1, 8, 1), nn.Linear(8, 3)
        self.body = nn.Sequential(nn.Conv2d(8, 32, 1), nn.ReLU(), nn.Conv2d(32, 8, 1)).bfloat16()

    def forward(self, images: Tensor) -> Tensor:
        features = self.stem(images).relu()
        features = self.body(features.to(self.body[0].weight.dtype)).to(features.dtype)
        logits: Tensor = self.head(features.mean((-2, -1)))
        return logits


def test_images_come_in_the_arithmetic_of_the_first_layer_where_they_must() -> None:
    torch.manual_seed(0)
    assert audit(Mixed(), [12], channels=1).sizes[0].decision == "exact"


def test_what_a_network_of_several_arithmetics_says_of_a_size_is_not_said_of_its_arithmetic() -> None:
    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused, self.conv, self.linear = nn.Linear(1, 4).double(), nn.Conv2d(1, 64, 7), nn.Linear(64, 5)

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.linear(self.conv(images).mean((-2, -1)))
            return logits

    (row,) = audit(Wide(), [5], channels=1).sizes
    assert "Kernel size: (7 x 7)" in (row.reason or "")


@pytest.mark.filterwarnings("ignore")
def test_a_program_of_torch_export_is_refused_with_what_to_do() -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    program = torch.export.export(network.eval(), (torch.rand(2, 1, 12, 12),)).module()
    with pytest.raises(UserError, match=r"audit the module that torch\.export\.export was given"):
        auditable(program, "theirs")
