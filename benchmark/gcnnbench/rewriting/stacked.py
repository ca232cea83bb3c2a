"""Several networks of one form as one network: the seeds of an entry become blocks of channels that never meet."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gcnnbench.architectures.residual import Residual
from gcnnbench.architectures.sequence import Network
from gcnnbench.device import generator_of
from gcnnbench.errors import UserError
from gcnnbench.nn.activation import ReLU
from gcnnbench.nn.blur import BlurPool
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.dropout import Dropout, dropout_mask
from gcnnbench.nn.linear import ScaledLinear
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.nn.polyphase import AdaptivePolyphaseSampling
from gcnnbench.nn.pooling import CosetPool, GlobalMaxPool
from gcnnbench.nn.subsampling import EquivariantMaxPool, EquivariantSubsample
from gcnnbench.rewriting.classes import computes_as

CONTAINERS = (nn.Sequential, Network, Residual)
CHANNEL_BY_CHANNEL = (
    BlurPool,
    CosetPool,
    GlobalMaxPool,
    ReLU,
    nn.ReLU,
    nn.GELU,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.CircularPad2d,
    nn.Flatten,
    nn.Identity,
)
IMAGE_BY_IMAGE = (EquivariantMaxPool, EquivariantSubsample, AdaptivePolyphaseSampling)
OF_THEIR_OWN = (Dropout, nn.Linear, ScaledLinear, GroupConv, GroupBatchNorm)
WITH_A_FORM = {*CONTAINERS, *CHANNEL_BY_CHANNEL, *IMAGE_BY_IMAGE, *OF_THEIR_OWN}
"""The very classes that have a stacked form; what a subclass computes is not known."""


class Streams:
    """A state of torch's generator for each seed, so that what a network draws is what it would draw alone.

    Args:
        device: whose generator the layers draw from.

    Raises:
        UserError: it is neither a CPU nor a CUDA device, and its generator cannot be switched between seeds.
    """

    def __init__(self, device: torch.device) -> None:
        if device.type not in ("cpu", "cuda"):
            raise UserError(f"several seeds at once are trained on cpu and cuda, not on {device.type}")
        self.device, self.states = device, list[Tensor]()

    @contextmanager
    def started(self, seeds: Sequence[int]) -> Iterator[None]:
        """Start a stream from each of these seeds; torch's generators are given back as they were."""
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            self.states = [generator_of(self.device).manual_seed(seed).get_state() for seed in seeds]
            yield

    @contextmanager
    def of(self, position: int) -> Iterator[None]:
        """Draw from the stream of the seed at this position."""
        generator_of(self.device).set_state(self.states[position])
        yield
        self.states[position] = generator_of(self.device).get_state()


class StackedDropout(Dropout):
    """Dropout whose mask is, for each seed, the one that it would draw alone.

    Args:
        p: the probability of a zero.
        streams: what the masks are drawn from.
    """

    def __init__(self, p: float, streams: Streams) -> None:
        super().__init__(p)
        self.streams = streams

    def forward(self, features: Tensor) -> Tensor:
        """(batch, seeds·channels, …) -> the same shape and memory layout."""
        if not self.training:
            return features
        # the order of the draws is that of the memory, and alone a seed has the layout that it has here
        channels_last = features.ndim == 4 and features.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        seeds = len(self.streams.states)
        alone = features.new_empty(len(features), features.shape[1] // seeds, *features.shape[2:])
        alone = alone.contiguous(memory_format=layout)
        masks = []
        for position in range(seeds):
            with self.streams.of(position):
                masks.append(dropout_mask(alone, self.p))
        return features * torch.cat(masks, 1)


class StackedLinear(nn.Module):
    """A linear layer for each seed: (batch, seeds·in_features) -> (batch, seeds·out_features).

    Args:
        linear: that of the first seed, for its sizes.
        seeds: how many.
    """

    def __init__(self, linear: nn.Linear, seeds: int) -> None:
        super().__init__()
        self.seeds, self.scale = seeds, linear.scale if isinstance(linear, ScaledLinear) else 1.0
        self.weight = nn.Parameter(linear.weight.detach())
        self.bias = None if linear.bias is None else nn.Parameter(linear.bias.detach())

    def forward(self, features: Tensor) -> Tensor:
        """(batch, seeds·in_features) -> (batch, seeds·out_features)."""
        by_seed = features.unflatten(1, (self.seeds, -1)).transpose(0, 1)
        weight = self.weight.unflatten(0, (self.seeds, -1)).transpose(1, 2)
        out = torch.bmm(by_seed, weight).transpose(0, 1).flatten(1)
        out = out if self.bias is None else out + self.bias
        return out if self.scale == 1 else out * self.scale


class ImageByImage(nn.Module):
    """A layer without weights that chooses something for each image: each seed's features pass it as further images.

    Args:
        layer: the layer.
        seeds: how many.
    """

    def __init__(self, layer: nn.Module, seeds: int) -> None:
        super().__init__()
        self.layer, self.seeds = layer, seeds

    def forward(self, features: Tensor) -> Tensor:
        """(batch, seeds·channels, height, width) -> what the layer makes of it, the seeds still outermost."""
        by_seed = features.unflatten(1, (self.seeds, -1)).flatten(0, 1)
        out: Tensor = self.layer(by_seed).unflatten(0, (-1, self.seeds)).flatten(1, 2)
        return out


def stack(networks: Sequence[nn.Module], streams: Streams) -> nn.Module:
    """One network that computes what all of these do, from (batch, seeds·channels, …) to (batch, seeds·classes).

    A convolution of all seeds is one with as many times the `groups`, a shared norm one with as many times the
    channels, a linear layer a batched product. Every tensor of the state has the name that it has alone, and holds the
    seeds' tensors one after another along its first axis.

    Args:
        networks: of one form; the result holds copies of their weights.
        streams: what dropout draws from, a stream for each network.

    Raises:
        UserError: a layer has no stacked form: there is none, it has hooks, or it stands in two places.
    """
    if len(list(networks[0].modules())) < len(list(networks[0].named_modules(remove_duplicate=False))):
        raise UserError("a layer stands in two places of the network, which has no form for several seeds at once")
    stacked = _stacked(copy.deepcopy(networks[0]), len(networks), streams, "")
    states = [network.state_dict() for network in networks]
    stacked.load_state_dict({name: torch.cat([state[name] for state in states]) for name in states[0]})
    return stacked


def unstacked(values: Tensor, seeds: int, position: int) -> Tensor:
    """One seed's own copy of a stacked tensor (seeds·first, …); a tensor without axes is the same for all."""
    return values.unflatten(0, (seeds, -1))[position].clone() if values.ndim else values.clone()


def _stacked(module: nn.Module, seeds: int, streams: Streams, name: str) -> nn.Module:
    """Change a module into its stacked form, whose tensors hold one seed's values over and over."""
    kind = type(module)
    if not computes_as(module, kind) or kind not in WITH_A_FORM:
        raise UserError(f"{name or 'the network'} ({kind.__name__}) has no form for several seeds at once")
    if kind in CONTAINERS:
        for child_name, child in module.named_children():
            setattr(module, child_name, _stacked(child, seeds, streams, f"{name}.{child_name}".lstrip(".")))
    elif kind in IMAGE_BY_IMAGE:
        return ImageByImage(module, seeds)
    elif isinstance(module, Dropout):
        return StackedDropout(module.p, streams)
    elif isinstance(module, nn.Linear):
        return _repeated(StackedLinear(module, seeds), seeds)
    elif isinstance(module, GroupConv):
        module.in_channels, module.out_channels = module.in_channels * seeds, module.out_channels * seeds
        module.groups *= seeds
        return _repeated(module, seeds)
    elif isinstance(module, GroupBatchNorm):
        module.channels *= seeds
        return _repeated(module, seeds)
    return module


def _repeated(module: nn.Module, seeds: int) -> nn.Module:
    """The module with every tensor of its state repeated along the first axis."""
    for name, parameter in list(module.named_parameters(recurse=False)):
        repeated = torch.cat([parameter.detach()] * seeds)
        setattr(module, name, nn.Parameter(repeated, parameter.requires_grad))
    for name in set(module.state_dict()) - {name for name, _ in module.named_parameters()}:
        setattr(module, name, torch.cat([module.get_buffer(name)] * seeds))
    return module
