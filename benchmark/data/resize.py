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


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """Resize as `PIL.Image.resize((width, height), BILINEAR)` does, with no grey level of difference.

    Args:
        images: uint8 (batch, channels, height, width).
        height: the new height in pixels.
        width: the new width in pixels.

    Returns:
        uint8 (batch, channels, new height, new width) on the same device; the input itself where the size stays.

    Raises:
        ValueError: the images are not uint8 with four axes, or a size is below 1.
    """
    if images.ndim != 4 or images.dtype != torch.uint8:
        raise ValueError(
            "images must be uint8 with the axes (batch, channels, height, width), "
            f"not {images.dtype} {tuple(images.shape)}"
        )
    if height < 1 or width < 1:
        raise ValueError(f"height (={height}) and width (={width}) must be at least 1")
    if images.shape[-2:] == (height, width):
        return images
    if images.device.type == "mps":  # it has no float64
        return resize(images.cpu(), height, width).to(images.device)
    each = max(1, CHUNK // images[0].numel()) if len(images) else 1
    return torch.cat([_resize(chunk, height, width) for chunk in torch.split(images, each)])


def _resize(images: Tensor, height: int, width: int) -> Tensor:
    """Horizontal pass, then vertical pass; a pass that would keep its size is left out, as in Pillow."""
    if images.shape[-1] != width:
        weights = torch.tensor(_weights(images.shape[-1], width), dtype=torch.float64, device=images.device)
        images = _rounded(images.to(torch.float64) @ weights.T)
    if images.shape[-2] != height:
        weights = torch.tensor(_weights(images.shape[-2], height), dtype=torch.float64, device=images.device)
        images = _rounded(weights @ images.to(torch.float64))
    return images


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
        triangle = [max(0.0, 1.0 - abs((source - centre + 0.5) / support)) for source in range(first, last)]
        total = sum(triangle)
        row = [0] * old
        row[first:last] = [int(0.5 + value / total * UNIT) for value in triangle]
        rows.append(tuple(row))
    return tuple(rows)
