"""Reads from a built network what a protocol table says of it: its layers in words, how its first weights are drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import sqrt

import torch
from torch import Tensor, nn

from gcnnbench.architectures.dense import Dense
from gcnnbench.architectures.residual import Residual
from gcnnbench.claims.protocol_networks import FirstWeights
from gcnnbench.nn.bank import BankConv
from gcnnbench.nn.blur import BlurPool
from gcnnbench.nn.dropout import Dropout
from gcnnbench.nn.groups import TRIVIAL
from gcnnbench.nn.linear import ScaledLinear
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.nn.pooling import CosetPool, GlobalMaxPool
from gcnnbench.nn.separable import SeparableGroupConv
from gcnnbench.nn.subsampling import EquivariantMaxPool

Drawn = BankConv | SeparableGroupConv | nn.Linear

LEFT_BY_THE_CUT = 0.8796256610342398
"""The deviation of a standard normal cut at ±2: √(1 − 4 φ(2)/(2 Φ(2) − 1))."""

WORDS: Mapping[type[nn.Module], str] = {
    nn.GELU: "gelu",
    nn.AdaptiveAvgPool2d: "mean",
    nn.Linear: "linear",
    ScaledLinear: "linear",
    GlobalMaxPool: "max",
    GroupBatchNorm: "norm",
    EquivariantMaxPool: "equivariant max-pool 2",
}


def layers(module: nn.Module, prefix: str = "") -> Iterator[str]:
    """A network's layers in order, in the words of `PublishedNetwork`."""
    if isinstance(module, BankConv | SeparableGroupConv):
        padded = f" p{module.padding}" if module.padding else ""
        yield f"{prefix}conv {module.kernel_size}{_stride(module.stride, 1)}{padded}"
    elif isinstance(module, Dropout):
        yield f"{prefix}dropout {module.p:g}"
    elif isinstance(module, nn.MaxPool2d):
        yield f"{prefix}max-pool {module.kernel_size}{_stride(module.stride, module.kernel_size)}"
    elif isinstance(module, nn.AvgPool2d):
        yield f"{prefix}average-pool {module.kernel_size}{_stride(module.stride, module.kernel_size)}"
    elif isinstance(module, BlurPool):
        yield f"{prefix}blur-pool {module.kernel_size}"
    elif isinstance(module, CosetPool):
        yield from [] if module.group == TRIVIAL else [f"{prefix}coset {module.how}"]
    elif isinstance(module, Residual):
        yield from layers(module.branch, f"{prefix}branch ")
        yield from layers(module.shortcut, f"{prefix}shortcut ")
    elif isinstance(module, Dense):
        yield from layers(module.branch, f"{prefix}dense ")
    elif isinstance(module, nn.Sequential):
        for child in module:
            yield from layers(child, prefix)
    elif not isinstance(module, nn.Flatten | nn.Identity):
        yield prefix + ("relu" if type(module).__name__ == "ReLU" else WORDS[type(module)])


def _stride(stride: object, usual: object) -> str:
    return "" if stride == usual else f" s{stride}"


def _sizes(module: Drawn) -> tuple[int, int, int, int]:
    """Outputs, pixels of the kernel, channels and fan-in of a layer."""
    if isinstance(module, nn.Linear):
        return module.out_features, 1, module.in_features, module.in_features
    in_group = module.in_group if isinstance(module, BankConv) else module.group
    k2 = module.kernel_size**2
    return module.out_channels, k2, module.in_channels, module.in_channels * len(in_group) * k2


def scale(rule: FirstWeights, module: Drawn) -> float:
    """The bound or deviation that a formula gives for one layer."""
    if isinstance(rule.scale, float):
        return rule.scale
    outs, k2, ins, fan_in = _sizes(module)
    formulas: dict[str | None, float] = {
        "1/√(in·k²)": 1 / sqrt(ins * k2),
        "1/√fan-in": 1 / sqrt(fan_in),
        "√(2/(out·k²))": sqrt(2 / (outs * k2)),
        "√(2/fan-in)": sqrt(2 / fan_in),
        "√(6/(in+out))": sqrt(6 / (ins + outs)),
        None: 0.0,
    }
    return formulas[rule.scale]


def departures(rules: dict[str, FirstWeights], network: nn.Module) -> list[str]:
    """The parameters of convolutions and linear layers that are not drawn as the rules say."""
    found, biases, first = [], [], True
    for name, module in network.named_modules():
        if not isinstance(module, Drawn):
            continue
        kind = "linear" if isinstance(module, nn.Linear) else "stem" if first and "stem" in rules else "convolution"
        first = False
        for own, parameter in module.named_parameters(recurse=False):
            bias = own == "bias" and kind != "linear"
            rule = rules["bias" if bias else kind]
            if own == "bias" and kind == "linear":
                rule = rules.get("linear-bias", rule if rule.draw == "uniform" else FirstWeights(draw="zero"))
            values, size = parameter.detach(), scale(rule, module)
            if rule.identity and not bias:
                passed = min(module.in_channels, module.out_channels) if not isinstance(module, nn.Linear) else 0
                found += [f"{name}.{own}: {told}" for told in _not_passed(values[:passed])]
                values = values[passed:]
            if len(values) and (told := departure(values.flatten(), rule, size)):
                found.append(f"{name}.{own}: {told}")
            if bias and size:
                biases.append(values / size)
    if biases and (told := departure(torch.cat(biases), rules["bias"], 1.0)):
        found.append(f"biases of all convolutions: {told}")  # those of one layer are too few to tell
    return found


def _not_passed(filters: Tensor) -> Iterator[str]:
    """The filters (out, in, …) that are not one at one place of their own channel and zero elsewhere."""
    for channel, taps in enumerate(filters):
        if taps.count_nonzero() != 1 or float(taps[channel].sum()) != 1.0:
            yield f"filter {channel} does not pass channel {channel} on"


def departure(values: Tensor, rule: FirstWeights, size: float) -> str:
    """How some numbers cannot be a draw of this distribution; empty where they can be."""
    count, largest = len(values), float(values.abs().max())
    if rule.draw == "zero":
        return "" if largest == 0 else f"not zero but up to {largest:.4f}"
    if rule.draw == "uniform":
        # The largest of n falls below 1 − 12/n with probability e⁻¹²; the mean size is half the bound.
        within = size * (1 - 12 / count) <= largest <= size * (1 + 1e-6)
        centred = abs(float(values.abs().mean()) / size - 0.5) <= 5 / sqrt(12 * count)
        return "" if within and centred else f"up to {largest:.4f}, not uniform in ±{size:.4f}"
    deviation = float(values.square().mean().sqrt())
    if rule.draw == "truncated-normal":
        # The largest of n falls below 2 − 107/n deviations with probability e⁻¹².
        cut = size * (2 - 107 / count) <= largest <= 2 * size * (1 + 1e-6)
        within = abs(deviation / (LEFT_BY_THE_CUT * size) - 1) <= 5 / sqrt(2 * count)
        told = f"deviation {deviation:.4f}, largest {largest:.4f}; not normal with {size:.4f} and cut at two of it"
        return "" if within and cut else told
    within = abs(deviation / size - 1) <= 5 / sqrt(2 * count)
    normal = count < 200 or largest > 2.0 * size
    return "" if within and normal else f"deviation {deviation:.4f}, largest {largest:.4f}; not normal with {size:.4f}"
