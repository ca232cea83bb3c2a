"""Normalised batches of images on the device, as training and scoring read them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gcnnbench.cards.augmentation import Augmentation, Fill
from gcnnbench.cards.benchmark_card import Input
from gcnnbench.data.augment import augment, fill_values
from gcnnbench.data.parts import Part
from gcnnbench.data.resize import resize
from gcnnbench.data.rotate import rotate
from gcnnbench.device import free_memory, send
from gcnnbench.errors import UserError

RESIDENT_SHARE = 0.4
"""The share of the device's free memory that one share of the images may take; the network needs some, too."""


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one size and how they become a network's input, `(pixels / white − mean) / std`. Made by `prepare`.

    Everything after the pixels is worked out on the channels that differ: grey images whose channels are normalised
    alike are normalised, augmented and rotated once, and only then shown as `card.channels` equal channels (a view).

    Pixels that fit stand on the device at their size. Others stay where they are, in a mapped file say, and go to the
    device batch by batch through pinned memory, where they are resized: slower, and the same bits.

    Args:
        pixels: uint8 or float32 (images, source channels, size, size) on the device, or as the files hold them.
        labels: int64 (images,), on the device.
        size: height and width of the network's input.
        card: the benchmark card's input.
        white: what counts as 1, 255 for uint8: (1, 1, 1).
        mean: (distinct channels, 1, 1).
        std: (distinct channels, 1, 1).
    """

    pixels: Tensor
    labels: Tensor
    size: int
    card: Input
    white: Tensor
    mean: Tensor
    std: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Tensor | slice, dtype: torch.dtype = torch.float32) -> Tensor:
        """The network's input for these images.

        Args:
            indices: int64 (batch,), or a slice.
            dtype: the arithmetic it is worked out in.

        Returns:
            (batch, card.channels, size, size).
        """
        return self._shown(self._normalised(indices, dtype))

    def rotated_batch(
        self, indices: Tensor | slice, degrees: float | Tensor, fill: Fill, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """The network's input for these images, rotated counter-clockwise (bilinear); at 0 degrees equal to `batch`.

        Normalised images are rotated. That is the same as rotating before normalisation with the fill converted by
        `fill_values`, because the weights of a bilinear interpolation add up to one.

        Args:
            indices: int64 (batch,), or a slice.
            degrees: one angle, or one for each image (batch,).
            fill: what stands outside the image.
            dtype: the arithmetic it is worked out in.

        Returns:
            (batch, card.channels, size, size).
        """
        upright = self._normalised(indices, dtype)
        return self._shown(rotate(upright, degrees, fill_values(fill, self.card)[: upright.shape[1]]))

    def augmented_batch(
        self,
        indices: Tensor | slice,
        augmentation: Augmentation,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """The network's input for these images after the random changes of `gcnnbench.data.augment.augment`.

        Args:
            indices: int64 (batch,), or a slice.
            augmentation: which changes.
            generator: on the CPU; all draws are taken from it.
            dtype: the arithmetic it is worked out in.

        Returns:
            (batch, card.channels, size, size).
        """
        return self._shown(augment(self._normalised(indices, dtype), augmentation, self.card, generator))

    def _normalised(self, indices: Tensor | slice, dtype: torch.dtype) -> Tensor:
        if isinstance(indices, Tensor):
            chosen = self.pixels.index_select(0, indices.to(self.pixels.device))
        else:
            chosen = self.pixels[indices]
        chosen = chosen.contiguous()  # a mapped file may hold its channels last
        if chosen.device != self.labels.device:
            chosen = send(chosen, self.labels.device)
        if chosen.shape[-1] != self.size:
            chosen = resize(chosen, self.size)
        # Tensors divide tensors: a Python number as divisor becomes a multiplication on CUDA, with other last bits.
        scaled = chosen.to(dtype) / self.white.to(dtype)
        return (scaled - self.mean.to(dtype)).div_(self.std.to(dtype))

    def _shown(self, batch: Tensor) -> Tensor:
        return batch.expand(-1, self.card.channels, -1, -1)


def prepare(part: Part, card: Input, size: int, device: torch.device | str = "cpu") -> Images:
    """Resize a part once and put it on the device, or leave it to be read in batches where that takes too much memory.

    Args:
        part: the images, uint8, or float32 in [0, 1].
        card: the benchmark card's input.
        size: height and width of the network's input.
        device: where everything after this happens.

    Returns:
        The images, 8-bit where the source is.

    Raises:
        UserError: the channels do not fit, or the size is another and the card does not say how to resize.
    """
    _, channels, height, width = part.images.shape
    if channels not in (1, card.channels):
        raise UserError(f"input.channels (={card.channels}) must be {channels}, the number of the images' channels")
    pixels = part.images
    if (height, width) != (size, size):
        if card.resize == "none":
            raise UserError(
                f"the images have {height}×{width} pixels and the entry wants {size}×{size}, but input.resize is none; "
                f"take the entry at @{height}, or set input.resize to pillow-bilinear"
            )
        if pixels.dtype != torch.uint8:
            raise UserError("input.resize is pillow-bilinear, which works on 8-bit images, but these are float32")
    device = torch.device(device)
    if len(part) * channels * size * size * pixels.element_size() <= free_memory(device) * RESIDENT_SHARE:
        pixels = pixels.to(device)
        pixels = pixels if (height, width) == (size, size) else resize(pixels, size)
    alike = channels == 1 and len(set(card.mean)) == 1 and len(set(card.std)) == 1
    constants = torch.float32 if device.type == "mps" else torch.float64

    def constant(values: tuple[float, ...]) -> Tensor:
        return torch.tensor(values, dtype=constants, device=device)[:, None, None]

    return Images(
        pixels=pixels,
        labels=part.labels.to(device),
        size=size,
        card=card,
        white=constant((255.0,) if pixels.dtype == torch.uint8 else (1.0,)),
        mean=constant(card.mean[:1] if alike else card.mean),
        std=constant(card.std[:1] if alike else card.std),
    )
