"""A network of this suite as plain PyTorch: no class of ours is needed to load, run or export it."""

from __future__ import annotations

import copy
import sys
from collections import OrderedDict
from typing import Any

import torch
from torch import nn
from torch.fx import symbolic_trace

from gcnnbench.architectures.dense import Dense
from gcnnbench.architectures.residual import Residual
from gcnnbench.architectures.sequence import Network
from gcnnbench.errors import UserError
from gcnnbench.nn.activation import ReLU
from gcnnbench.nn.blur import BlurPool
from gcnnbench.nn.dropout import Dropout
from gcnnbench.nn.linear import ScaledLinear
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.nn.pooling import CosetPool
from gcnnbench.rewriting.classes import Convolution, computes_as, is_chain, is_convolution


def to_plain(network: nn.Module, keep: tuple[type[nn.Module], ...] = ()) -> nn.Module:
    """The same function in evaluation mode, made of `torch.nn` modules only; it can be given to `torch.export`.

    Filter banks are written out into `nn.Conv2d`, the statistics and parameters of a shared norm repeated in
    `nn.BatchNorm2d`, coset pooling is pooling over an axis of its own. The result holds copies: it does not follow the
    network that it was made from, and it forgets how its layers transform.

    Args:
        network: a network of this suite's layers, of e2cnn's between plain tensors (`gcnnbench.nn.steerable`), and of
            `torch.nn` modules.
        keep: layers of this suite that may stay as they are.

    Returns:
        A network in evaluation mode, with the names of the layers as they were.

    Raises:
        UserError: a layer of this suite has no plain form: there is none, or the layer is of a subclass with a forward
            pass of its own, or has hooks.
    """
    plain = _plain(copy.deepcopy(network))
    plain.eval()
    for name, module in plain.named_modules():
        ours = any(base.__module__.startswith("gcnnbench.") for base in type(module).__mro__)
        if ours and not isinstance(module, keep):
            raise UserError(
                f"{name or 'the network'} ({type(module).__name__}) has no form in plain torch modules; "
                "torch.export takes the network as it is"
            )
        vars(module).pop("field", None)
    return plain


def _plain(module: nn.Module) -> nn.Module:
    if is_convolution(module):
        return _conv2d(module)
    if computes_as(module, GroupBatchNorm):
        return _batch_norm(module, len(module.group))
    if computes_as(module, CosetPool):
        return _coset_pool(module)
    if computes_as(module, BlurPool):
        return _blur_pool(module)
    if computes_as(module, Dropout):
        return nn.Dropout(module.p)
    if computes_as(module, ScaledLinear):
        return _linear(module)
    if computes_as(module, ReLU):
        return nn.ReLU()
    if (steerable := _from_e2cnn(module)) is not None:
        return steerable
    for name, child in module._modules.items():
        if child is not None:
            setattr(module, name, _plain(child))
    if computes_as(module, Residual) or computes_as(module, Dense):
        return symbolic_trace(module)  # torch.nn has no module that adds or joins two
    if isinstance(module, Network) and is_chain(module):
        return nn.Sequential(OrderedDict(module._modules))
    return module


@torch.no_grad()
def _conv2d(conv: Convolution) -> nn.Conv2d:
    order = len(conv.group)
    plain = nn.Conv2d(
        conv.in_channels * len(conv.in_group),
        conv.out_channels * order,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        conv.dilation,
        conv.groups,
        conv.bias is not None,
        device="meta",
    )
    bank, bias = conv.bank()
    plain.weight = nn.Parameter(bank)
    if bias is not None:
        plain.bias = nn.Parameter(bias)
    return plain


@torch.no_grad()
def _batch_norm(norm: GroupBatchNorm | nn.BatchNorm3d, order: int) -> nn.BatchNorm2d:
    plain = nn.BatchNorm2d(norm.weight.numel() * order, norm.eps, norm.momentum)
    plain.to(norm.weight.device, norm.weight.dtype)
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(plain, name).copy_(getattr(norm, name).repeat_interleave(order))
    return plain


@torch.no_grad()
def _linear(scaled: ScaledLinear) -> nn.Linear:
    plain = nn.Linear(scaled.in_features, scaled.out_features, bias=False, device="meta")
    plain.weight = nn.Parameter(scaled.weight * scaled.scale)
    return plain


def _coset_pool(pool: CosetPool) -> nn.Sequential:
    """(batch, channels·group, height, width) -> (batch, channels, group, …) -> (batch, channels, 1, …) -> flat."""
    order = len(pool.group)
    over_group = nn.MaxPool3d((order, 1, 1)) if pool.how == "max" else nn.AvgPool3d((order, 1, 1))
    return nn.Sequential(nn.Unflatten(1, (-1, order)), over_group, nn.Flatten(1, 2))


def _blur_pool(pool: BlurPool) -> nn.Sequential:
    """A binomial filter is as many averages of two neighbours as its size has steps; the last one samples."""
    averages = [nn.AvgPool2d(2, 1) for _ in range(pool.kernel_size - 2)]
    last = nn.AvgPool2d(min(2, pool.kernel_size), pool.stride)
    return nn.Sequential(nn.ReflectionPad2d((pool.kernel_size - 1) // 2), *averages, last)


def _from_e2cnn(module: Any) -> nn.Module | None:
    """The plain form of an e2cnn layer; None for others. e2cnn is slow to import, so it is not imported for it."""
    steerable = sys.modules.get("gcnnbench.nn.steerable")
    if steerable is None:
        return None
    if computes_as(module, steerable.SteerableConv):
        with torch.no_grad():
            filters, bias = module.module.expand_parameters()
        out_channels, in_channels, kernel_size, _ = filters.shape
        geometry = {"stride": module.stride, "padding": module.padding, "bias": False}
        plain = nn.Conv2d(in_channels, out_channels, kernel_size, **geometry, device="meta")
        plain.weight, plain.bias = nn.Parameter(filters), None if bias is None else nn.Parameter(bias)
        return plain
    if computes_as(module, steerable.Steerable):
        for name, child in module.module.named_children():
            if isinstance(child, nn.BatchNorm3d):  # e2cnn's own export rounds it to single precision
                return _batch_norm(child, int(name.removeprefix("batch_norm_[").removesuffix("]")))
        exported: nn.Module = module.module.export()
        return exported
    return None
