"""Real images for audits that have no data set at hand: the handwritten digits that scikit-learn ships."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gcnnbench.data.resize import resize
from gcnnbench.equivariance.restoring import restored


def sample_images(count: int, channels: int, size: int) -> Tensor:
    """Digits of the UCI set "Optical Recognition of Handwritten Digits", resized, one digit a channel.

    Where all digits are used up they come again, each time moved on by one pixel, row by row.

    Args:
        count: images, all different.
        channels: channels of each, every one another image, so that exchanged channels show.
        size: height and width.

    Returns:
        float32 (count, channels, size, size) in [−1, 1].
    """
    with restored():  # what is imported draws random numbers
        from sklearn.datasets import load_digits  # takes two seconds, so only where it is needed

    pixels = np.asarray(load_digits(return_X_y=True)[0])
    again, digit = np.divmod(np.arange(count * channels)[:, None], len(pixels))
    shown = pixels[digit, (np.arange(pixels.shape[1]) - again) % pixels.shape[1]]
    digits = torch.from_numpy(shown * 15.9375).round().to(torch.uint8)
    images = resize(digits.view(count, channels, 8, 8), size)
    return images.float() / 127.5 - 1
