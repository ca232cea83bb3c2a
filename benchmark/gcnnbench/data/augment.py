"""Random changes of a training batch, on the device, drawn on the CPU so that a seed means the same everywhere."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from gcnnbench.cards.augmentation import Augmentation, Fill, NormalAngle, UniformAngle
from gcnnbench.cards.benchmark_card import Input
from gcnnbench.data.rotate import rotate
from gcnnbench.device import send


def fill_values(fill: Fill, scale: Input) -> Tensor:
    """A fill in the scale after normalisation, `(value − mean) / std` where the card gives it before.

    Args:
        fill: value and scale; before normalisation 0 is black and 1 is white.
        scale: the benchmark card's input.

    Returns:
        float64 (channels,), on the CPU.
    """
    if fill.scale == "after-normalisation":
        return torch.full((scale.channels,), fill.value, dtype=torch.float64)
    mean, std = (torch.tensor(values, dtype=torch.float64) for values in (scale.mean, scale.std))
    return (fill.value - mean) / std


def augment(batch: Tensor, card: Augmentation, scale: Input, generator: torch.Generator) -> Tensor:
    """Random crop, horizontal flip, vertical flip, quarter turn and rotation, in this order, where the card has them.

    Flips have probability 1/2 and the four quarter turns 1/4 each, drawn for each image. What a crop brings in from
    outside is black, as in torchvision's `RandomCrop` on the image before normalisation, or the image reflected.
    The alternating flip comes last and is not made here: it depends on the epoch (`training/loop.py`).

    Args:
        batch: normalised images (batch, channels, size, size); one channel stands for channels that are all alike.
        card: which changes.
        scale: the benchmark card's input, for what black is after normalisation.
        generator: on the CPU; all draws are taken from it, in the order above.

    Returns:
        A tensor of the same shape and dtype on the same device.
    """
    images, channels = len(batch), batch.shape[1]
    if card.crop_padding:
        offsets = torch.randint(2 * card.crop_padding + 1, (2, images), generator=generator)
        black = fill_values(Fill(value=0.0, scale="before-normalisation"), scale)[:channels]
        border = None if card.crop_border == "reflected" else black
        batch = crop(batch, offsets[0], offsets[1], card.crop_padding, border)
    if card.horizontal_flip:
        batch = flip(batch, send(torch.rand(images, generator=generator) < 0.5, batch.device), axis=-1)
    if card.vertical_flip:
        batch = flip(batch, send(torch.rand(images, generator=generator) < 0.5, batch.device), axis=-2)
    if card.quarter_turns:
        batch = turn(batch, torch.randint(4, (images,), generator=generator))
    if card.rotation:
        degrees = draw_angles(card.rotation.angle, 1 if card.rotation.per == "batch" else images, generator)
        batch = rotate(batch, degrees, fill_values(card.rotation.fill, scale)[:channels])
    return batch


def draw_angles(angle: UniformAngle | NormalAngle, count: int, generator: torch.Generator) -> Tensor:
    """Random angles in degrees.

    Args:
        angle: their distribution.
        count: how many.
        generator: on the CPU.

    Returns:
        float64 (count,).
    """
    if isinstance(angle, UniformAngle):
        unit = torch.rand(count, generator=generator, dtype=torch.float64)
        return angle.low + (angle.high - angle.low) * unit
    return angle.mean + angle.std * torch.randn(count, generator=generator, dtype=torch.float64)


def crop(batch: Tensor, top: Tensor, left: Tensor, padding: int, fill: Tensor | None) -> Tensor:
    """Pad each image on all sides and cut out a window of the old size.

    Args:
        batch: (batch, channels, height, width).
        top: first row of each window in the padded image, int64 (batch,), 0 to 2·padding, on the CPU.
        left: first column, likewise.
        padding: pixels on each side.
        fill: what is padded with, a constant for each channel (channels,); where None the image is reflected at its
            outermost pixels, as by PyTorch's `reflect`.

    Returns:
        A tensor of the same shape.
    """
    images, _, height, width = batch.shape
    if fill is None:
        padded = pad(batch, [padding] * 4, mode="reflect")
    else:
        border = send(fill.to(batch.dtype), batch.device)[:, None, None]
        padded = border.expand(images, -1, height + 2 * padding, width + 2 * padding).contiguous()
        padded[:, :, padding : padding + height, padding : padding + width] = batch
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (batch, channels, top, left, height, width), a view
    corners = send(torch.stack((top, left)), batch.device)
    return windows[torch.arange(images, device=batch.device), :, corners[0], corners[1]]


def flip(batch: Tensor, flipped: Tensor, axis: int) -> Tensor:
    """Mirror some images along one axis.

    Args:
        batch: (batch, channels, height, width).
        flipped: which images, bool (batch,), on the batch's device.
        axis: −1 mirrors left to right, −2 top to bottom.

    Returns:
        A tensor of the same shape.
    """
    return torch.where(flipped[:, None, None, None], batch.flip(axis), batch)


def turn(batch: Tensor, turns: Tensor) -> Tensor:
    """Turn each image by its own number of quarter turns counter-clockwise, exactly.

    Args:
        batch: (batch, channels, size, size).
        turns: int64 (batch,), 0 to 3, on the CPU.

    Returns:
        A tensor of the same shape.
    """
    turned = batch.clone()
    for quarter in (1, 2, 3):
        where = send((turns == quarter).nonzero()[:, 0], batch.device)
        turned[where] = batch[where].rot90(quarter, (-2, -1))
    return turned
