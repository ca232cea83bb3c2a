"""The strict rotation-equivariant networks of Wu et al. (2025), written from their formulae: the code has no licence.

A bank holds a filter turned by i · 360° / n for each element i of C_n: quarter turns are exact, other angles are
nearest-neighbour turns of the pixels of the kernel. So C6 and C8 are rotation groups in name only, and a 2×2 kernel
turned by 45° is no longer the same set of pixels: the bank is not closed even under the quarter turns.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d
from torchvision.transforms.v2.functional import rotate

from gcnnbench.errors import UserError

WIDTHS, BLOCKS = (16, 32, 64, 128), (1, 2, 2, 1)
"""Of the smallest network, n."""
NARROWED = 0.75
"""The width inside a block, of that outside."""


def bank(kernel: Tensor, order: int) -> Tensor:
    """A kernel turned by every element of C_n: (out, in, k, k) -> (out, order, in, k, k)."""
    if 4 % order == 0:
        turned = [kernel.rot90(4 // order * element, (-2, -1)) for element in range(order)]
    else:
        turned = [rotate(kernel, 360.0 / order * element) for element in range(order)]
    return torch.stack(turned, 1)


class Lifting(nn.Module):
    """The convolution of an image with a bank: (batch, channels, h, w) -> (batch, out, order, h, w)."""

    def __init__(self, in_channels: int, out_channels: int, order: int) -> None:
        super().__init__()
        self.order = order
        self.weight = _weight(out_channels, in_channels, 3, 3)

    def forward(self, images: Tensor) -> Tensor:
        """Each filter at each of its turns."""
        lifted = conv2d(images, bank(self.weight, self.order).flatten(0, 1), padding=1)
        return _by_element(lifted, self.order)


class Pointwise(nn.Module):
    """The 1×1 group convolution `h(g) = Σ_g' w(g⁻¹g') f(g')`: (batch, in, order, h, w) -> (batch, out, order, h, w)."""

    def __init__(self, in_channels: int, out_channels: int, order: int) -> None:
        super().__init__()
        self.order = order
        self.weight = _weight(out_channels, in_channels, order)

    def forward(self, features: Tensor) -> Tensor:
        """A circulant matrix over the group for each pair of channels."""
        shifted = torch.stack([self.weight.roll(element, -1) for element in range(self.order)], 1)
        mixed = conv2d(features.flatten(1, 2), shifted.flatten(0, 1).flatten(1)[..., None, None])
        return _by_element(mixed, self.order)


class Depthwise(nn.Module):
    """Each channel of each element with its own turn of one filter: (batch, channels, order, h, w), both ways."""

    def __init__(self, channels: int, kernel_size: int, stride: int, order: int) -> None:
        super().__init__()
        self.order, self.stride = order, stride
        self.padding = kernel_size // 2 if stride == 1 else 0
        self.weight = _weight(channels, 1, kernel_size, kernel_size)

    def forward(self, features: Tensor) -> Tensor:
        """A grouped convolution."""
        filters = bank(self.weight, self.order).flatten(0, 1)
        flat = conv2d(features.flatten(1, 2), filters, stride=self.stride, padding=self.padding, groups=len(filters))
        return _by_element(flat, self.order)


class Block(nn.Module):
    """Pointwise – residual pairs of separable convolutions – pointwise, with a shortcut around all."""

    def __init__(self, channels: int, pairs: int, order: int) -> None:
        super().__init__()
        narrow = int(NARROWED * channels)
        self.enter = _normed(Pointwise(channels, narrow, order), channels=narrow)
        self.pairs = nn.ModuleList(
            nn.Sequential(*(_separable(narrow, narrow, order) for _ in range(2))) for _ in range(pairs)
        )
        self.leave = _normed(Pointwise(narrow, channels, order), channels=channels)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, channels, order, h, w), both ways."""
        inner = self.enter(features)
        for pair in self.pairs:
            inner = inner + pair(inner)
        left: Tensor = self.leave(inner) + features
        return left


class StrictRotational(nn.Module):
    """The strict C_n network n of Wu et al., for images of 32 pixels.

    Args:
        order: n of C_n: 2, 4, 6 or 8.
        classes: of the logits.
        in_channels: of the images.
    """

    def __init__(self, order: int, classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        if order not in (2, 4, 6, 8):
            raise UserError(f"order (={order}) must be 2, 4, 6 or 8")
        first, second, third, last = WIDTHS
        self.features = nn.Sequential(
            _normed(Lifting(in_channels, first, order), channels=first),
            _separable(first, second, order),
            Block(second, BLOCKS[0], order),
            _separable(second, third, order, halves=True),
            Block(third, BLOCKS[1], order),
            _separable(third, last, order, halves=True),
            Block(last, BLOCKS[2], order),
            _separable(last, last, order),
            Block(last, BLOCKS[3], order),
        )
        self.linear = nn.Linear(last, classes)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, size, size) -> logits (batch, classes): the maximum over the group, then the mean."""
        logits: Tensor = self.linear(self.features(images).amax(2).mean((-2, -1)))
        return logits


def _by_element(features: Tensor, order: int) -> Tensor:
    """(batch, channels · order, h, w) -> (batch, channels, order, h, w)."""
    batch, _, *pixels = features.shape
    return features.view(batch, -1, order, *pixels)


def _separable(in_channels: int, out_channels: int, order: int, *, halves: bool = False) -> nn.Sequential:
    depthwise = Depthwise(out_channels, 2 if halves else 3, 2 if halves else 1, order)
    return _normed(Pointwise(in_channels, out_channels, order), depthwise, channels=out_channels)


def _normed(*layers: nn.Module, channels: int) -> nn.Sequential:
    """Layers – batch norm, shared over the group – SiLU."""
    return nn.Sequential(*layers, nn.BatchNorm3d(channels), nn.SiLU())


def _weight(*shape: int) -> nn.Parameter:
    weight = nn.Parameter(torch.empty(shape))
    nn.init.kaiming_uniform_(weight, a=5**0.5)
    return weight
