"""A trained network of this suite made faster for scoring: norms folded into the convolutions, nothing else changed."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from gcnnbench.architectures.sequence import Network
from gcnnbench.nn.convolution import filter_bank
from gcnnbench.nn.dropout import Dropout
from gcnnbench.nn.groups import TRIVIAL
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.nn.separable import SeparableGroupConv
from gcnnbench.rewriting.classes import Convolution, computes_as, is_chain, is_convolution, is_of_this_suite, is_relu


class FoldedConv(nn.Module):
    """An ordinary convolution with a finished filter bank, followed by a ReLU where asked.

    Args:
        bank: (out_channels·group, in_channels·in_group, height, width).
        bias: (out_channels·group,).
        conv: the group convolution whose stride, padding and dilation are taken.
        groups: the number of blocks of channels that do not see each other.
        rectified: whether a ReLU follows.
    """

    def __init__(self, bank: Tensor, bias: Tensor, conv: Convolution, groups: int, rectified: bool) -> None:
        super().__init__()
        self.register_buffer("bank", bank)
        self.register_buffer("bias", bias)
        self.stride, self.padding, self.dilation, self.groups = conv.stride, conv.padding, conv.dilation, groups
        self.rectified = rectified

    def forward(self, features: Tensor) -> Tensor:
        """(batch, in_channels·in_group, height, width) -> (batch, out_channels·group, height, width)."""
        bank, bias = self.get_buffer("bank"), self.get_buffer("bias")
        out = conv2d(features, bank, bias, self.stride, self.padding, self.dilation, self.groups)
        return out.relu_() if self.rectified else out


def for_scoring(network: nn.Module) -> nn.Module:
    """The same function in evaluation mode, with each convolution's batch norm folded into its filter bank.

    `(W ∗ f + b − μ) γ/σ + β = (W γ/σ) ∗ f + (b − μ) γ/σ + β`. Filter banks are copies: what is trained on later is not
    seen. A norm is folded where it directly follows a convolution in a chain of layers, at any depth: in a block, or in
    a network that another one wraps; the others stay. What is not known to compute as a class of this suite does is
    left as it is: other modules, subclasses with a forward pass of their own, and whatever has hooks.

    Args:
        network: any network, in any mode.

    Returns:
        A network in evaluation mode, equal to the given one but for rounding.
    """
    chain = isinstance(network, nn.Sequential) and not isinstance(network, Network)
    scoring = network if chain else _scoring(network)
    scoring.eval()
    return scoring


def _scoring(module: nn.Module) -> nn.Module:
    if not is_chain(module):
        return _around(module)
    layers = [layer for layer in module if not computes_as(layer, Dropout)]
    scoring: list[nn.Module] = []
    while layers:
        layer = layers.pop(0)
        if is_convolution(layer):
            norm = layers[0] if layers and computes_as(layers[0], GroupBatchNorm) else None
            layers = layers if norm is None else layers[1:]
            rectified = bool(layers) and is_relu(layers[0])
            layers = layers[1:] if rectified else layers
            scoring.append(_folded(layer, norm, rectified))
        else:
            scoring.append(_scoring(layer))
    return nn.Sequential(*scoring)


def _around(module: nn.Module) -> nn.Module:
    """A module of this suite that shares everything with the given one but its children, which are made for scoring."""
    if not is_of_this_suite(type(module)) or not computes_as(module, type(module)):
        return module
    children = {name: child if child is None else _scoring(child) for name, child in module._modules.items()}
    if all(children[name] is child for name, child in module._modules.items()):
        return module
    around = copy.copy(module)
    vars(around)["_modules"] = children
    return around


def _folded(conv: Convolution, norm: GroupBatchNorm | None, rectified: bool) -> nn.Module:
    made, added = conv.bank()
    bank = made.detach()
    scale = bank.new_ones(len(bank))
    shift = torch.zeros_like(scale) if added is None else added.detach()
    if norm is not None:
        order = len(norm.group)
        scale = norm.weight.detach() * (norm.running_var + norm.eps).rsqrt()
        offset = (norm.bias.detach() - norm.running_mean * scale).repeat_interleave(order)
        scale = scale.repeat_interleave(order)
        shift = offset + shift * scale
    if isinstance(conv, SeparableGroupConv) and conv.separable == "gc":
        return _folded_depthwise(conv, scale, shift, rectified)
    return FoldedConv(bank * scale[:, None, None, None], shift, conv, conv.groups, rectified)


def _folded_depthwise(conv: SeparableGroupConv, scale: Tensor, bias: Tensor, rectified: bool) -> nn.Module:
    """The pointwise and the depthwise step of a gc-separable convolution, two ordinary ones."""
    mixing = filter_bank(conv.pointwise.detach()[..., None, None], conv.group, conv.group)
    pointwise = nn.Conv2d(mixing.shape[1], len(bias), 1, bias=False, device="meta")
    pointwise.weight = nn.Parameter(mixing, requires_grad=False)
    kernels = filter_bank(conv.spatial.detach().unsqueeze(2), conv.group, TRIVIAL) * scale[:, None, None, None]
    return nn.Sequential(pointwise, FoldedConv(kernels, bias, conv, len(bias), rectified))
