"""Pillow's bilinear resize of 8-bit images, bit for bit, on whole batches of tensors and on any device.

Pillow (src/libImaging/Resample.c, `precompute_coeffs`, `normalize_coeffs_8bpc`, `ImagingResample`) weights input
pixels by a triangle as wide as two output pixels where it shrinks and two input pixels where it enlarges, writes the
weights as integers in units of 2⁻²², and rounds to 8 bits after the horizontal and again after the vertical pass.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

UNIT = 1 << 22
"""The fixed-point one: Pillow's PRECISION_BITS = 32 − 8 − 2."""

CHUNK = 1 << 20
"""Pixels worked on at once, so that float64 copies of a whole data set never stand in memory."""


def resize(images: Tensor, size: int) -> Tensor:
    """Resize square images as `PIL.Image.resize((size, size), BILINEAR)` does, with no grey level of difference.

    Only square images, because rounding between the passes makes their order matter: Pillow takes the horizontal one
    first where both orders cost the same, as they do here, and otherwise its versions differ.

    Args:
        images: uint8 (batch, channels, old size, old size).
        size: the new height and width in pixels.

    Returns:
        uint8 (batch, channels, size, size) on the same device; the input itself where the size stays.

    Raises:
        ValueError: the images are not uint8, not square, or the size is below 1.
    """
    if images.ndim != 4 or images.dtype != torch.uint8 or images.shape[-2] != images.shape[-1]:
        raise ValueError(
            "images must be uint8 and square with the axes (batch, channels, size, size), "
            f"not {images.dtype} {tuple(images.shape)}"
        )
    if size < 1:
        raise ValueError(f"size (={size}) must be at least 1")
    if images.shape[-1] == size:
        return images
    if images.device.type == "mps":  # it has no float64
        return resize(images.cpu(), size).to(images.device)
    weights = torch.tensor(_weights(images.shape[-1], size), dtype=torch.float64, device=images.device)
    each = max(1, CHUNK // max(1, images[:1].numel()))
    return torch.cat([_resize(chunk, weights) for chunk in torch.split(images, each)])


def _resize(images: Tensor, weights: Tensor) -> Tensor:
    horizontally = _rounded(images.to(torch.float64) @ weights.T)
    return _rounded(weights @ horizontally.to(torch.float64))


def _rounded(sums: Tensor) -> Tensor:
    # Sums of integers below 2^31 are exact in float64 in any order, so no device and no matrix library can change them.
    # Weights are not negative and add up to the unit but for a few 2⁻²², so nothing leaves 0…255; conversion truncates.
    return sums.add_(UNIT // 2).mul_(1 / UNIT).to(torch.uint8)


@cache
def _weights(old: int, new: int) -> tuple[tuple[int, ...], ...]:
    """The fixed-point weights of one axis, (new pixels, old pixels)."""
    scale = old / new
    support = max(scale, 1.0)
    rows = []
    for target in range(new):
        centre = (target + 0.5) * scale
        first = max(int(centre - support + 0.5), 0)
        last = min(int(centre + support + 0.5), old)
        triangle = [max(0.0, 1.0 - abs((source - centre + 0.5) * (1.0 / support))) for source in range(first, last)]
        total = sum(triangle)
        row = [0] * old
        row[first:last] = [int(0.5 + value / total * UNIT) for value in triangle]
        rows.append(tuple(row))
    return tuple(rows)
