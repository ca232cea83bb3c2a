"""A part of a data set as tensors, and the digest that pins it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gcnnbench.formatting import how_many

CHUNK = 4096
"""Images digested at once, so that a data set larger than memory can be."""


@dataclass(frozen=True, eq=False)
class Part:
    """Images and their classes, as the files hold them.

    Args:
        images: uint8 or float32 (images, channels, height, width).
        labels: int64 (images,), classes counted from 0.

    Raises:
        ValueError: a tensor has another form, or the two differ in length.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype not in (torch.uint8, torch.float32):
            raise ValueError(
                "images must be uint8 or float32 with the axes (images, channels, height, width), "
                f"not {self.images.dtype} {tuple(self.images.shape)}"
            )
        if self.labels.ndim != 1 or self.labels.dtype != torch.int64:
            raise ValueError(f"labels must be int64 (images,), not {self.labels.dtype} {tuple(self.labels.shape)}")
        if len(self.images) != len(self.labels):
            raise ValueError(
                f"{how_many(len(self.images), 'image')} and {how_many(len(self.labels), 'label')}, where each has one"
            )
        if len(self.labels) and int(self.labels.min()) < 0:
            raise ValueError(f"labels must count from 0, but one is {int(self.labels.min())}")

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: Tensor | slice) -> Part:
        """The images at these positions, in this order.

        Args:
            indices: int64 (selected,), or a slice.

        Returns:
            A part of its own memory; a view where the positions follow one another.
        """
        if isinstance(indices, Tensor) and len(indices):
            first = int(indices[0])
            if torch.equal(indices, torch.arange(first, first + len(indices))):
                indices = slice(first, first + len(indices))
        return Part(self.images[indices], self.labels[indices])


def digest(part: Part) -> str:
    """The sha256 over name, dtype, shape and little-endian bytes of images, then of labels; the same on any machine.

    Args:
        part: images and labels.

    Returns:
        64 hexadecimal digits.
    """
    state = hashlib.sha256()
    for name, tensor in (("images", part.images), ("labels", part.labels)):
        array = tensor.cpu().numpy()
        state.update(json.dumps([name, array.dtype.name, list(array.shape)]).encode("ascii"))
        for first in range(0, len(array), CHUNK):
            chunk = np.ascontiguousarray(array[first : first + CHUNK])
            little_endian = chunk.astype(chunk.dtype.newbyteorder("<"), copy=False)
            state.update(little_endian.reshape(-1).view(np.uint8).data)
    return state.hexdigest()
