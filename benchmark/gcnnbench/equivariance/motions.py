"""Continuous motions of images: their generators on pixels, by two stencils, and the finite motion itself.

The generator of a motion g_t is `X f = d/dt f ∘ g_t⁻¹` at t = 0, i.e. `−(v · ∇) f` with the velocity v of the pixels.
On pixels the slope ∂f is taken by a stencil:

- `central`: `(f[i+1] − f[i−1]) / 2` with zeros outside the image. Bilinear interpolation has no derivative at the
  pixels themselves, only one from each side; this is their mean, and the derivative of Keys's cubic interpolation. It
  is blind to detail as fine as the pixels.
- `bilinear`: `f[i+1] − f[i]`, reflected at the border without repeating the edge, as the code of Gruver et al. 2022
  (arXiv 2210.02984) has it where no coordinate is rounded down. It is a shift and a half-pixel blur in one,
  `f′ + f″/2 + …`, so it also measures how a network takes sharpening.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from gcnnbench.equivariance.certificate.lattice import WHOLE, Lattices
from gcnnbench.errors import UserError

Motion = Literal["rotation", "translation-x", "translation-y"]
MOTIONS: tuple[Motion, ...] = ("rotation", "translation-x", "translation-y")
Stencil = Literal["central", "bilinear"]
STENCILS: tuple[Stencil, ...] = ("central", "bilinear")


def generator(features: Tensor, motion: Motion, lattices: Lattices = WHOLE, stencil: Stencil = "central") -> Tensor:
    """X f, how fast features change when they are moved.

    Args:
        features: (…, height, width).
        motion: counter-clockwise rotation about the image's centre, or a shift to the right or downwards.
        lattices: where the pixels of these features lie over the image.
        stencil: how the slope is taken.

    Raises:
        UserError: their places are not known.
    """
    long = [lattice for lattice, length in zip(lattices, features.shape[-2:], strict=True) if length > 1]
    if any(lattice.step is None or lattice.unknown for lattice in long):
        raise UserError("how far its pixels lie apart is not known")
    down, across = lattices
    y_step, x_step = float(down.step or 1), float(across.step or 1)
    rows, columns = _slope(features.mT, stencil).mT, _slope(features, stencil)
    if motion == "translation-x":
        return -columns / x_step
    if motion == "translation-y":
        return -rows / y_step
    height, width = features.shape[-2:]
    y = torch.arange(height, dtype=features.dtype, device=features.device)[:, None] - (height - 1) / 2
    x = torch.arange(width, dtype=features.dtype, device=features.device) - (width - 1) / 2
    y, x = y * y_step + float(down.centre), x * x_step + float(across.centre)
    # rows count downwards, so a counter-clockwise turn has the velocity (x: y, y: −x)
    return x * rows / y_step - y * columns / x_step


def _slope(features: Tensor, stencil: Stencil) -> Tensor:
    """∂f along the last axis, for a step of one; nothing changes along an axis of length one."""
    if features.shape[-1] == 1:
        return torch.zeros_like(features)
    if stencil == "bilinear":
        return torch.cat([features[..., 1:], features[..., -2:-1]], -1) - features
    wide = pad(features, (1, 1))
    return (wide[..., 2:] - wide[..., :-2]) / 2


def moved(images: Tensor, motion: Motion, amount: float) -> Tensor:
    """The images moved by radians or pixels, with Keys's cubic interpolation (a = −1/2) and zeros outside.

    Not `grid_sample`: its cubic has a = −3/4 and so slopes that are half as steep again as the image's own.

    Args:
        images: (images, channels, height, width).
        motion: see `generator`.
        amount: radians or pixels.
    """
    height, width = images.shape[-2:]
    y = torch.arange(height, dtype=images.dtype, device=images.device)[:, None] - (height - 1) / 2
    x = torch.arange(width, dtype=images.dtype, device=images.device) - (width - 1) / 2
    if motion == "rotation":
        rows, columns = math.sin(amount) * x + math.cos(amount) * y, math.cos(amount) * x - math.sin(amount) * y
    else:
        right, down = (amount, 0.0) if motion == "translation-x" else (0.0, amount)
        rows, columns = (y - down).expand(height, width), (x - right).expand(height, width)
    rows, columns = rows + (height - 1) / 2, columns + (width - 1) / 2
    flat, result = images.flatten(-2), torch.zeros_like(images)
    for row in (rows.floor() + tap for tap in range(-1, 3)):
        for column in (columns.floor() + tap for tap in range(-1, 3)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            place = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long()
            weight = _keys(rows - row) * _keys(columns - column) * inside
            result += weight * flat[..., place.flatten()].unflatten(-1, (height, width))
    return result


def _keys(distance: Tensor) -> Tensor:
    """The kernel of Keys 1981, *Cubic Convolution Interpolation for Digital Image Processing*, equation 15."""
    t = distance.abs()
    near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return torch.where(t <= 1, near, torch.where(t < 2, far, torch.zeros_like(t)))
