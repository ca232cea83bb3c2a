"""Rotating batches of images by any angle, bilinear, about the centre."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from gcnnbench.device import send


def rotate(images: Tensor, degrees: float | Tensor, fill: float | Tensor = 0.0) -> Tensor:
    """Rotate images counter-clockwise about their centre, bilinear; outside the image stands a constant.

    With R the rotation and x a pixel's position from the centre, `out(x) = Σ_u w(R⁻¹x − u) in(u)`, the sum over all
    pixels of an endless plane that holds `fill` outside the image, w(a, b) = max(0, 1 − |a|)·max(0, 1 − |b|).

    A multiple of 360° copies every value. Every other angle, 90° included, is interpolated and equals the index-exact
    quarter turn only up to rounding. With fill 0 this is torchvision's `functional.rotate` on tensors (bilinear). With
    another fill torchvision weights the border pixels twice (`img·mask + (1 − mask)·fill`, where the image is already
    mixed with zeros); here image and fill are mixed once, so that rotating commutes with normalising.

    Args:
        images: floating point (batch, channels, height, width).
        degrees: one angle for the whole batch, or one for each image (batch,).
        fill: one constant, or one for each channel (channels,).

    Returns:
        A tensor of the same shape and dtype on the same device; the input itself where no image turns.

    Raises:
        ValueError: a shape or dtype is another.
    """
    if images.ndim != 4 or not images.is_floating_point():
        raise ValueError(
            "images must be floating point with the axes (batch, channels, height, width), "
            f"not {images.dtype} {tuple(images.shape)}"
        )
    angles = torch.as_tensor(degrees, dtype=torch.float64, device="cpu").reshape(-1)
    if len(angles) not in (1, len(images)):
        raise ValueError(f"degrees must be one angle or one an image, {len(images)} in all, not {len(angles)}")
    still = angles.remainder(360) == 0
    if bool(still.all()):
        return images
    working = torch.promote_types(images.dtype, torch.float32)
    matrix = send(torch.stack((angles.deg2rad().cos(), angles.deg2rad().sin())).to(working), images.device)
    grid = _grid(matrix, images.shape[-2], images.shape[-1])
    rotated = _sample(images.to(working), grid)
    if isinstance(fill, Tensor) or fill != 0:
        constant = send(torch.as_tensor(fill, dtype=working, device="cpu"), images.device).reshape(1, -1, 1, 1)
        inside = _sample(torch.ones_like(images[: len(angles), :1], dtype=working), grid)
        rotated = torch.addcmul(rotated, 1 - inside, constant)
    rotated = rotated.to(images.dtype)
    if bool(still.any()):
        return torch.where(send(still, images.device)[:, None, None, None], images, rotated)
    return rotated


def _grid(cos_sin: Tensor, height: int, width: int) -> Tensor:
    """Where each output pixel comes from, R⁻¹x as grid_sample wants it: (angles, height, width, 2 for across, down).

    Written out instead of `affine_grid`, whose matrix product would lose digits where TF32 is allowed.
    """
    cos, sin = cos_sin[:, :, None, None]
    across = torch.arange(width, dtype=cos.dtype, device=cos.device)[None, None, :] - (width - 1) / 2
    down = torch.arange(height, dtype=cos.dtype, device=cos.device)[None, :, None] - (height - 1) / 2
    return torch.stack(((cos * across - sin * down) * (2 / width), (sin * across + cos * down) * (2 / height)), -1)


def _sample(images: Tensor, grid: Tensor) -> Tensor:
    shared = grid.expand(len(images), -1, -1, -1)
    return grid_sample(images, shared, mode="bilinear", padding_mode="zeros", align_corners=False)
