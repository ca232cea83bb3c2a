"""Two networks whose answer is known: an exactly equivariant one, and the same one on a grid that breaks it.

For turns that is a max-pool, on an even size and on an odd one; for circular shifts a border, circular and of zeros.

They share no line with `gcnnbench.nn`: the group convolution stacks turned and rolled filters and calls conv2d.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d, pad

SMALLEST = 8
LARGEST = 32
"""The images the controls take are at least so large, and thinned out where they are more than twice as large."""


class ControlNetwork(nn.Module):
    """Lifting convolution – ReLU – max-pool 2×2 – p4 convolution – ReLU – mean – maximum over rotations – linear.

    Args:
        channels: channels of the images.
        border: of the convolutions; with a circular one there is no max-pool.
        seed: of the weights.
    """

    def __init__(self, channels: int, border: Literal["zeros", "circular"] = "zeros", seed: int = 0) -> None:
        super().__init__()
        self.border = border
        generator = torch.Generator().manual_seed(seed)

        def weight(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64))

        self.lift, self.shift = weight(3, channels, 3, 3), weight(3)
        self.convolve = weight(3, 3, 4, 3, 3)
        self.linear = weight(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, 4)."""
        lifted = torch.stack([self.lift.rot90(turn, (-2, -1)) for turn in range(4)], 1).flatten(0, 1)
        features = conv2d(self._wider(images), lifted, self.shift.repeat_interleave(4)).relu()
        features = features if self.border == "circular" else max_pool2d(features, 2)
        turned = [self.convolve.roll(turn, 2).rot90(turn, (-2, -1)) for turn in range(4)]
        bank = torch.stack(turned, 1).flatten(0, 1).flatten(1, 2)
        features = conv2d(self._wider(features), bank).relu()
        invariant: Tensor = features.mean((-2, -1)).unflatten(1, (3, 4)).amax(2)
        return invariant @ self.linear.t()

    def _wider(self, features: Tensor) -> Tensor:
        return pad(features, (1, 1, 1, 1), mode="circular" if self.border == "circular" else "constant")


def control_images(images: Tensor, *, even: bool) -> Tensor:
    """The images cropped at their ends to the next smaller size that is even or odd, or as they are."""
    size = images.shape[-1] - (images.shape[-1] % 2 == even)
    return images[..., :size, :size]
