"""Blur-pooling: a fixed low-pass filter before the step of a sampling grid, against aliasing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from gcnnbench.errors import UserError, require_at_least
from gcnnbench.nn.fields import Field, feature_field
from gcnnbench.nn.groups import Group


def binomial_kernel(kernel_size: int) -> Tensor:
    """The binomial filter, `b(r, s) = C(n, r) C(n, s) / 4ⁿ` with n = kernel_size − 1; any turn or mirror leaves it.

    Its entries are exact in every floating-point type for the sizes in use.

    Args:
        kernel_size: 3 is [1, 2, 1]/4 along each axis, 4 is [1, 3, 3, 1]/8, 5 is [1, 4, 6, 4, 1]/16.

    Returns:
        (kernel_size, kernel_size), with the sum one.
    """
    row = torch.tensor([float(math.comb(kernel_size - 1, place)) for place in range(kernel_size)])
    row = row / 2 ** (kernel_size - 1)
    return torch.outer(row, row)


class _Mirror(torch.autograd.Function):
    """Reflection padding whose gradient repeats to the bit on a GPU, too: PyTorch's own adds there in any order."""

    generate_vmap_rule = True

    @staticmethod
    def forward(features: Tensor, margin: int) -> Tensor:
        return pad(features, (margin,) * 4, mode="reflect")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], _output: Tensor) -> None:
        ctx.margin = inputs[1]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _folded(_folded(grad, ctx.margin, -2), ctx.margin, -1), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _margin: None) -> Tensor:
        return pad(tangent, (ctx.margin,) * 4, mode="reflect")


def _folded(mirrored: Tensor, margin: int, axis: int) -> Tensor:
    """What lies in the margins of one axis, added where it was mirrored from."""
    before, inside, after = mirrored.split((margin, mirrored.shape[axis] - 2 * margin, margin), axis)
    total: Tensor = inside.clone()
    total.narrow(axis, 1, margin).add_(before.flip(axis))
    total.narrow(axis, total.shape[axis] - 1 - margin, margin).add_(after.flip(axis))
    return total


mirror: Callable[[Tensor, int], Tensor] = _Mirror.apply
"""Features (batch, channels, height, width) with so many mirrored pixels more on every side."""


def blur_pool2d(features: Tensor, kernel: Tensor, stride: int = 2) -> Tensor:
    """Each feature map blurred and sampled, `y[c](x) = Σ_u b(u) f[c](stride·x + u)`.

    Zhang 2019 (arXiv 1904.11486). The features are mirrored by (kernel_size − 1) // 2 on every side first.

    Args:
        features: f, (batch, channels, height, width).
        kernel: b, (kernel_size, kernel_size).
        stride: the step of the sampling grid.

    Returns:
        (batch, channels, ⌈height / stride⌉, ⌈width / stride⌉) for odd kernels; for even ones from one pixel less.

    Raises:
        UserError: the features are too small to be mirrored.
    """
    channels, smallest = features.shape[1], min(features.shape[-2:])
    margin = (kernel.shape[-1] - 1) // 2
    if smallest <= margin:
        raise UserError(f"features of {smallest} pixels cannot be mirrored by {margin}: blur them before they shrink")
    mirrored = mirror(features, margin)
    filters = kernel.to(features.dtype).expand(channels, 1, -1, -1)
    return conv2d(mirrored, filters, stride=stride, groups=channels)


class BlurPool(nn.Module):
    """The layer of `blur_pool2d` with a binomial filter, the same for every channel and orientation.

    The filter is symmetric, so the layer is equivariant wherever its sampling grid is: with stride 2 an odd kernel
    samples odd inputs symmetrically, an even one even inputs, as `i + 2p − (k − 1) − 1 = 2(o − 1)` says. The filter is
    a constant: a buffer outside the state, which neither training nor an audit changes.

    Behind a maximum, `nn.MaxPool2d(2, stride=1)`, it is Zhang's anti-aliased max-pool; behind a convolution of stride 1
    with its ReLU his anti-aliased strided convolution.

    Args:
        group: the group of the features, which the layer keeps.
        kernel_size: the height and width of the filter.
        stride: the step of the sampling grid.

    Raises:
        UserError: `kernel_size` or `stride` is not positive.
    """

    kernel: Tensor

    def __init__(self, group: Group, kernel_size: int = 3, stride: int = 2) -> None:
        super().__init__()
        require_at_least(1, kernel_size=kernel_size, stride=stride)
        self.group, self.kernel_size, self.stride = group, kernel_size, stride
        self.field: Field = feature_field(group)
        self.register_buffer("kernel", binomial_kernel(kernel_size), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, channels·group, height, width) -> (batch, channels·group, rows, columns)."""
        return blur_pool2d(features, self.kernel, self.stride)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"group={self.group.name}, kernel_size={self.kernel_size}, stride={self.stride}"
