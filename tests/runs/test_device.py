"""What a device is asked to do at once."""

from __future__ import annotations

import pytest
import torch

from benchmark.device import scoring_batch


@pytest.mark.parametrize(
    ("device", "size", "images"),
    [("cpu", 28, 128), ("cpu", 225, 128), ("cuda", 28, 2048), ("cuda", 33, 1474), ("mps", 96, 174), ("cuda", 225, 128)],
)
def test_a_gpu_scores_as_many_pixels_at_once_and_a_cpu_as_many_images(device: str, size: int, images: int) -> None:
    assert scoring_batch(torch.device(device), size) == images
