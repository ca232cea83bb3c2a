"""What is done to images once, before a network sees them: a source size, and what is fitted to those that train.

Fitted are one scale of all pixels, or contrast and whitening (ZCA), worked out in float64 on the CPU, so that every
device sees the same images; these are float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.data.parts import Part
from gcnnbench.data.resize import resize
from gcnnbench.data.splits import Splits, order_seed, split
from gcnnbench.errors import UserError

CHUNK = 4096
"""Images worked on at once."""
CONTRAST_FLOOR = 1e-8
"""An image whose deviation is below this is only centred."""
SMOOTHING = 1e-5
"""What is added to the deviation along each principal axis before dividing by it."""

Transform = Callable[[Tensor], Tensor]
"""From images float64 (batch, channels, height, width) to images of the same form."""


def shares_of(card: BenchmarkCard, parts: dict[str, Part], seed: int, limit: int | None = None) -> Splits:
    """The images of a cell to train on, to validate on and to test on, at their source size and after what is fitted.

    Args:
        card: the benchmark.
        parts: the data set's parts by name.
        seed: the cell's seed.
        limit: at most so many images of each share.

    Raises:
        UserError: a part is missing, a share wants more images than are left, or images to resize are float32.
    """
    shares = split(parts, card.split, order_seed(card.name, seed, card.split), seed)
    if limit is not None:
        shares = shares.each(lambda part: part.select(slice(limit)))
    if (size := card.input.source_size) is not None:
        shares = shares.each(lambda part: at_source_size(part, size))
    if card.input.fitted is None:
        return shares
    transform = standardised(shares.train) if card.input.fitted == "standardised" else contrast_zca(shares.train)
    return shares.each(lambda part: applied(part, transform))


def at_source_size(part: Part, size: int) -> Part:
    """The part with 8-bit images resized to size × size as by Pillow (bilinear).

    Raises:
        UserError: the images are float32.
    """
    if part.images.dtype != torch.uint8:
        raise UserError("input.source_size resizes 8-bit images, but these are float32")
    return Part(resize(part.images, size), part.labels)


def standardised(train: Part) -> Transform:
    """`(x − mean) / std` with one mean and one (population) deviation over all pixels of the training images.

    One for all places and channels, so that it commutes with rotations. As in Cohen & Welling's code for rotated MNIST
    (tscohen/gconv_experiments, MNIST_ROT/train.py).
    """
    pixels = sum(chunk.numel() for chunk in _chunks(train))
    mean = torch.stack([chunk.sum() for chunk in _chunks(train)]).sum() / pixels
    variance = torch.stack([(chunk - mean).square().sum() for chunk in _chunks(train)]).sum() / pixels
    return lambda images: (images - mean) / variance.sqrt()


def contrast_zca(train: Part) -> Transform:
    """Each image to mean 0 and deviation 1 over its own values, then whitened by ZCA.

    With m the mean of the training images so normalised and `C = U S² Uᵀ` their covariance, `W (x − m)` with
    `W = U (S + 1e-5)⁻¹ Uᵀ`. As in Cohen & Welling's code for CIFAR-10, which Lengyel & van Gemert took over
    (tscohen/gconv_experiments, CIFAR10/cifar10.py); there in float32 and by a singular value decomposition.
    """
    mean = torch.stack([_contrast(chunk).flatten(1).sum(0) for chunk in _chunks(train)]).sum(0) / len(train)
    scatter = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for chunk in _chunks(train):
        centred = _contrast(chunk).flatten(1) - mean
        scatter.addmm_(centred.T, centred)
    squared, axes = torch.linalg.eigh(scatter / (len(train) - 1))
    whitening = (axes / (squared.clamp(min=0).sqrt() + SMOOTHING)) @ axes.T

    def whitened(images: Tensor) -> Tensor:
        made: Tensor = (_contrast(images).flatten(1) - mean) @ whitening.T
        return made.view_as(images)

    return whitened


def applied(part: Part, transform: Transform) -> Part:
    """The part with transformed images, float32."""
    return Part(torch.cat([transform(chunk).float() for chunk in _chunks(part)]), part.labels)


def _chunks(part: Part) -> Iterator[Tensor]:
    """The images in float64, 8-bit values as they are."""
    for chunk in torch.split(part.images, CHUNK):
        yield chunk.contiguous().to(torch.float64)


def _contrast(images: Tensor) -> Tensor:
    axes = (1, 2, 3)
    deviation = images.std(axes, correction=1, keepdim=True)
    return (images - images.mean(axes, keepdim=True)) / torch.where(deviation < CONTRAST_FLOOR, 1.0, deviation)
