"""The networks that are compared: the suite's own, their limit in plain convolutions, and steerable ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from gcnnbench.cards.registry import Registry
from gcnnbench.errors import UserError
from gcnnbench.nn.dropout import Dropout
from gcnnbench.perf import steerable
from gcnnbench.rewriting.plain import to_plain
from gcnnbench.training.capture import CapturedStep, CudaGraph, Graph

OURS, FLOOR, NCHW = "gcnnbench", "floor", "nchw"
"""`nchw` is the limit of plain convolutions with leaf filter banks of the expanded size and norms of their own for each
group element, in PyTorch's default layout; `floor` the same in channels_last memory. Neither expands or shares."""

RECORDED = f"{OURS}, CUDA graph"
"""The suite's training step, recorded as a CUDA graph and replayed."""
GRAPHS: dict[str, Callable[[], Graph]] = {"cuda": CudaGraph}
"""What records a step, by the kind of device; the others have nothing."""
CALLS_UNTIL_REPLAYED = 2
"""A recorded step is made as it is by its first call, and recorded by the second."""

STEERABLE = ("e2cnn", "escnn")
CLASSES = 10


@cache
def _cards() -> Registry:
    return Registry.load([])


@dataclass(frozen=True)
class Setting:
    """A network at one size and batch; `hyperparameters` take the place of the model card's."""

    slug: str
    size: int
    batch: int
    channels: int = 3
    hyperparameters: dict[str, Any] = field(default_factory=dict)

    @property
    def sized(self) -> str:
        """The network and its size, with which the title begins."""
        return f"{self.slug} {self.size}×{self.size},"

    @property
    def title(self) -> str:
        """As tables show it."""
        given = "".join(f", {name} {value}" for name, value in self.hyperparameters.items())
        return f"{self.sized} batch {self.batch}{given}"

    def network(self) -> nn.Module:
        """The suite's network, without dropout, which the others have not either."""
        module = import_module(f"gcnnbench.models.{self.slug}.model")
        chosen = {**_cards().model(self.slug).hyperparameters, **self.hyperparameters}
        network: nn.Module = module.build(size=self.size, channels=self.channels, classes=CLASSES, **chosen)
        for owner in network.modules():
            for name, child in list(owner.named_children()):
                if isinstance(child, Dropout):
                    setattr(owner, name, nn.Identity())
        return network


P4CNN = Setting("p4cnn", 28, 128)
P4MCNN = Setting("p4mcnn", 28, 128)
NARROW = Setting("p4-resnet44-pcam", 33, 64)
WIDE = Setting("p4-resnet44", 32, 16)
SETTINGS = (P4CNN, P4MCNN, NARROW, WIDE)


def plain(network: nn.Module, layout: torch.memory_format) -> nn.Module:
    """The limit: the same convolutions and norms with parameters of their own, in one memory layout."""
    limit = to_plain(network)
    for layer in limit.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight = nn.Parameter(layer.weight.detach().clone(memory_format=layout))
    return limit


def candidates(setting: Setting, device: torch.device) -> tuple[dict[str, nn.Module], dict[str, str]]:
    """The networks of a setting by name, and why others are missing."""
    torch.manual_seed(0)
    network = setting.network()
    made = {
        OURS: network,
        FLOOR: plain(network, torch.channels_last),
        NCHW: plain(network, torch.contiguous_format),
    }
    missing = {}
    for library in STEERABLE:
        try:
            theirs = steerable.network(library, setting.slug, network, CLASSES).to(device)
            training_step(theirs, *images(setting, device))()
        except UserError as error:
            missing[library] = str(error)
        except RuntimeError as error:  # a layer of theirs has no deterministic kernel on a GPU
            missing[library] = f"fails on {device.type}: {str(error).partition('.')[0]}"
        else:
            made[library] = theirs
    return {name: made_network.to(device) for name, made_network in made.items()}, missing


def images(setting: Setting, device: torch.device) -> tuple[Tensor, Tensor]:
    """Random images (batch, channels, size, size) and labels (batch,)."""
    torch.manual_seed(1)
    shown = torch.rand(setting.batch, setting.channels, setting.size, setting.size, device=device)
    return shown, torch.arange(setting.batch, device=device) % CLASSES


def training_step(network: nn.Module, shown: Tensor, labels: Tensor) -> Callable[[], Tensor]:
    """Forward and backward pass; the optimiser costs all of them the same and is left out."""
    network.train()

    def step() -> Tensor:
        network.zero_grad(set_to_none=True)
        loss = F.cross_entropy(network(shown), labels)
        loss.backward()
        return loss

    return step


def recorded_step(network: nn.Module, shown: Tensor, labels: Tensor, graph: Callable[[], Graph]) -> Callable[[], None]:
    """The same passes, made once, recorded in a graph and replayed once already: each call replays them."""

    def step(images: Tensor, classes: Tensor) -> None:
        network.zero_grad(set_to_none=True)
        F.cross_entropy(network(images), classes).backward()

    network.train()
    recorded = CapturedStep(step, network, graph())
    for _ in range(CALLS_UNTIL_REPLAYED):
        recorded(shown, labels)
    return lambda: recorded(shown, labels)


def recorded_steps(several: Sequence[nn.Module], shown: Tensor, labels: Tensor) -> Callable[[], None]:
    """The recorded passes of several networks, each on a CUDA stream of its own, as in `training/side_by_side.py`.

    It replays, and does not draw: these networks have no dropout.
    """
    main = torch.cuda.current_stream()
    streams, steps = [torch.cuda.Stream() for _ in several], list[Callable[[], None]]()
    for network, stream in zip(several, streams, strict=True):
        stream.wait_stream(main)
        with torch.cuda.stream(stream):
            steps.append(recorded_step(network, shown, labels, CudaGraph))
        main.wait_stream(stream)

    def all_steps() -> None:
        asked = torch.cuda.current_stream()
        for step, stream in zip(steps, streams, strict=True):
            stream.wait_stream(asked)
            with torch.cuda.stream(stream):
                step()
        for stream in streams:
            asked.wait_stream(stream)

    return all_steps


def useful_flops(work: Callable[[], object]) -> float:
    """The operations of one call on a plain network: what no group convolution can do without."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())
