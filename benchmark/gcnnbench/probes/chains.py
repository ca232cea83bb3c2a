"""Networks as chains of stages in plain torch: convolution, norm, ReLU, pools, and a linear head at the end.

Permuting the channels of one stage and the inputs of the next leaves such a network's function as it was, and that is
what the probes in weight space are about. Equivariant pools have no plain form and stay as they are: they do the same
to all channels, whatever their order.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gcnnbench.errors import UserError
from gcnnbench.nn.groups import Element
from gcnnbench.nn.subsampling import EquivariantMaxPool, EquivariantSubsample
from gcnnbench.rewriting.classes import computes_as, is_chain
from gcnnbench.rewriting.plain import to_plain

EQUIVARIANT = (EquivariantMaxPool, EquivariantSubsample)
KEEPS_CHANNELS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Dropout, *EQUIVARIANT)


@dataclass(frozen=True)
class Chain:
    """A plain network whose stages can be permuted.

    Args:
        network: its children run one after another.
        convolutions: their names, in order.
        norms: the name of each stage's norm, or None.
        ends: the name of each stage's ReLU, whose output is the stage's features.
        head: the name of the linear layer.
    """

    network: nn.Sequential
    convolutions: tuple[str, ...]
    norms: tuple[str | None, ...]
    ends: tuple[str, ...]
    head: str

    def conv(self, stage: int) -> nn.Conv2d:
        """The convolution of a stage."""
        conv = self.network.get_submodule(self.convolutions[stage])
        assert isinstance(conv, nn.Conv2d)
        return conv

    @property
    def fibre(self) -> int:
        """How many channels of the last stage are pooled into one before the head."""
        head = self.network.get_submodule(self.head)
        assert isinstance(head, nn.Linear)
        return self.conv(-1).out_channels // head.in_features

    @torch.no_grad()
    def features(self, images: Tensor) -> list[Tensor]:
        """Each stage's features (images, channels, height, width)."""
        found = []
        for name, module in zip(self.network._modules, self.network, strict=True):
            images = module(images)
            if name in self.ends:
                found.append(images)
        return found


def chain(network: nn.Module) -> Chain:
    """The network as a chain, a copy in evaluation mode and float64 on the CPU.

    Raises:
        UserError: a layer has no plain form, or is none that a chain may have; it is named.
    """
    plain = to_plain(network, keep=EQUIVARIANT).cpu().double()
    convolutions: list[str] = []
    norms: list[str | None] = []
    ends: list[str] = []
    head = None
    for name, module in plain._modules.items():
        assert module is not None
        fits = any(computes_as(module, kind) for kind in KEEPS_CHANNELS)
        if computes_as(module, nn.Conv2d):
            fits = module.groups == 1 and len(ends) == len(convolutions)
            convolutions.append(name)
            norms.append(None)
        elif computes_as(module, nn.BatchNorm2d):
            fits = len(ends) == len(convolutions) - 1 and norms[-1] is None
            norms[-1:] = [name]
        elif computes_as(module, nn.ReLU):
            fits = len(ends) == len(convolutions) - 1
            ends.append(name)
        elif is_chain(module) or computes_as(module, nn.Flatten):
            fits = len(ends) == len(convolutions)  # coset pooling, before the head
        elif computes_as(module, nn.Linear):
            fits, head = head is None, name
        if not fits:
            raise UserError(f"{name} ({type(module).__name__}) stands in no chain of convolution, norm, ReLU and pool")
    if not is_chain(plain) or head is None or not convolutions or len(ends) < len(convolutions):
        raise UserError(f"{type(network).__name__} is no chain of convolutions, norms and ReLUs with a linear head")
    return Chain(plain, tuple(convolutions), tuple(norms), tuple(ends), head)


@torch.no_grad()
def conjugated(found: Chain, element: Element, permutations: Sequence[Tensor]) -> Chain:
    """The network that sees images as this one sees them moved, its channels in another order.

    Kernels are moved by g⁻¹; rows of stage l, its bias and its norm are permuted by P_l, columns of stage l + 1 too:
    with P the identity its features are `g⁻¹ f_l(g x)`, and its logits `f(g x)` where the sampling grid is symmetric.

    Args:
        found: f.
        element: g.
        permutations: of each stage, (channels,): channel i of the result is channel `P_l[i]` of f. The last keeps the
            channels together that are pooled into one.
    """
    made = Chain(copy.deepcopy(found.network), found.convolutions, found.norms, found.ends, found.head)
    columns: Tensor | None = None
    for stage, rows in enumerate(permutations):
        conv = made.conv(stage)
        kernel = element.inverse.act(conv.weight)[rows]
        conv.weight.copy_(kernel if columns is None else kernel[:, columns])
        if conv.bias is not None:
            conv.bias.copy_(conv.bias[rows].clone())
        norm = made.norms[stage]
        if norm is not None:
            for tensor in (*made.network.get_submodule(norm).parameters(), *made.network.get_submodule(norm).buffers()):
                if tensor.ndim:
                    tensor.copy_(tensor[rows].clone())
        columns = rows
    blocks = permutations[-1].view(-1, found.fibre)[:, 0] // found.fibre
    head = made.network.get_submodule(made.head)
    assert isinstance(head, nn.Linear)
    head.weight.copy_(head.weight[:, blocks].clone())
    return made


@torch.no_grad()
def merged(one: Chain, other: Chain, images: Tensor) -> Chain:
    """The network halfway between two in weight space, its norm statistics taken anew on images.

    Args:
        one: a chain.
        other: of the same form.
        images: for the statistics, (images, channels, height, width), all at once.
    """
    made = Chain(copy.deepcopy(one.network), one.convolutions, one.norms, one.ends, one.head)
    for mine, theirs in zip(made.network.parameters(), other.network.parameters(), strict=True):
        mine.copy_((mine + theirs) / 2)
    features = images
    for module in made.network:
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
            module.running_mean.copy_(features.mean((0, 2, 3)))
            module.running_var.copy_(features.var((0, 2, 3)))
        features = module(features)
    return made
