from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torchvision.transforms.functional import InterpolationMode
from torchvision.transforms.functional import rotate as by_torchvision

from gcnnbench.data.rotate import rotate

ANGLES = (10.0, 45.0, 90.0, 133.7, 180.0, 270.0, -20.0, 359.0)


def pictures(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(shape, dtype=dtype, generator=torch.Generator().manual_seed(sum(shape)))


def by_definition(image: Tensor, degrees: float, fill: float) -> Tensor:
    """The docstring's sum over a plane that holds `fill` outside: (height, width) from (height, width)."""
    height, width = image.shape
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    out = torch.empty_like(image)
    for row in range(height):
        for column in range(width):
            # mathematical axes: x to the right, y upwards, from the centre; R⁻¹ turns clockwise
            x, y = column - (width - 1) / 2, (height - 1) / 2 - row
            source_x, source_y = cos * x + sin * y, -sin * x + cos * y
            source_column, source_row = source_x + (width - 1) / 2, (height - 1) / 2 - source_y
            total = 0.0
            for r in (math.floor(source_row), math.floor(source_row) + 1):
                for c in (math.floor(source_column), math.floor(source_column) + 1):
                    value = float(image[r, c]) if 0 <= r < height and 0 <= c < width else fill
                    total += (1 - abs(r - source_row)) * (1 - abs(c - source_column)) * value
            out[row, column] = total
    return out


@pytest.mark.parametrize("degrees", ANGLES)
@pytest.mark.parametrize(("height", "width"), [(6, 6), (7, 7), (5, 8)])
def test_rotation_is_its_definition(height: int, width: int, degrees: float) -> None:
    images = pictures(1, 2, height, width)
    fill = torch.tensor([0.7, -1.5])
    rotated = rotate(images, degrees, fill)
    for channel in range(2):
        expected = by_definition(images[0, channel], degrees, float(fill[channel].to(torch.float64)))
        torch.testing.assert_close(rotated[0, channel], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("turns", [1, 2, 3, -1])
@pytest.mark.parametrize("size", [8, 9])
def test_quarter_turns_are_those_of_rot90_up_to_rounding(size: int, turns: int) -> None:
    images = pictures(3, 2, size, size)
    torch.testing.assert_close(rotate(images, 90.0 * turns), images.rot90(turns, (-2, -1)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("degrees", ANGLES)
@pytest.mark.parametrize("size", [27, 28])
def test_it_agrees_with_torchvision_where_the_fill_is_zero(size: int, degrees: float) -> None:
    images = pictures(3, 3, size, size, dtype=torch.float32)
    expected = by_torchvision(images, degrees, InterpolationMode.BILINEAR, fill=None)
    torch.testing.assert_close(rotate(images, degrees), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("degrees", [0, 0.0, 360, -720.0])
def test_whole_turns_copy_every_bit(degrees: float) -> None:
    images = pictures(2, 1, 9, 9, dtype=torch.float32)
    assert torch.equal(rotate(images, degrees, 3.0), images)
    among_others = rotate(images, torch.tensor([degrees, 30.0]), 3.0)
    assert torch.equal(among_others[0], images[0])
    assert not torch.equal(among_others[1], images[1])


def test_each_image_turns_by_its_own_angle_whatever_stands_beside_it() -> None:
    images = pictures(len(ANGLES), 2, 9, 9, dtype=torch.float32)
    together = rotate(images, torch.tensor(ANGLES, dtype=torch.float64), 0.3)
    for position, degrees in enumerate(ANGLES):
        alone = rotate(images[position : position + 1], degrees, 0.3)
        torch.testing.assert_close(together[position : position + 1], alone, rtol=0, atol=0)
    torch.testing.assert_close(rotate(images, 33.0)[3:4], rotate(images[3:4], 33.0), rtol=0, atol=0)


@pytest.mark.parametrize("degrees", ANGLES)
def test_rotation_commutes_with_normalising_image_and_fill(degrees: float) -> None:
    images = pictures(2, 1, 9, 9)
    before = (rotate(images, degrees, 0.0) - 0.13) / 0.3
    torch.testing.assert_close(rotate((images - 0.13) / 0.3, degrees, (0.0 - 0.13) / 0.3), before, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [8, 9])
def test_rotation_commutes_with_quarter_turns(size: int) -> None:
    images = pictures(2, 1, size, size)
    turned_first = rotate(images.rot90(1, (-2, -1)), 20.0, 0.5)
    torch.testing.assert_close(turned_first, rotate(images, 20.0, 0.5).rot90(1, (-2, -1)), rtol=0, atol=1e-12)
    mirrored_first = rotate(images.flip(-1), 20.0, 0.5)
    torch.testing.assert_close(mirrored_first, rotate(images, -20.0, 0.5).flip(-1), rtol=0, atol=1e-12)


def test_a_constant_plane_stays_constant() -> None:
    images = torch.full((1, 2, 9, 9), 0.25, dtype=torch.float64)
    torch.testing.assert_close(rotate(images, 37.0, 0.25), images, rtol=0, atol=1e-15)
    assert rotate(images, 37.0, 0.0)[0, 0, 0, 0] == 0, "a corner comes from outside"


def test_low_precision_is_worked_out_in_float32() -> None:
    images = pictures(1, 1, 28, 28, dtype=torch.float32).to(torch.bfloat16)
    rotated = rotate(images, 30.0)
    assert rotated.dtype == torch.bfloat16
    assert torch.equal(rotated, rotate(images.float(), 30.0).to(torch.bfloat16))


def test_the_input_is_left_as_it_is() -> None:
    images = pictures(2, 1, 9, 9)
    kept = images.clone()
    rotate(images, torch.tensor([0.0, 15.0]), 2.0)
    assert torch.equal(images, kept)


def test_other_forms_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be floating point.*torch\.uint8"):
        rotate(torch.zeros(1, 1, 4, 4, dtype=torch.uint8), 10.0)
    with pytest.raises(ValueError, match="one angle or one an image, 3 in all, not 2"):
        rotate(torch.zeros(3, 1, 4, 4), torch.tensor([1.0, 2.0]))
