"""Pictures spoilt at random, of every format that Pillow writes here: each is read, or named in one sentence."""

from __future__ import annotations

import random
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gcnnbench.data.image_folder import _opened, _pixels
from gcnnbench.errors import UserError

FORMATS = ("BMP", "DDS", "GIF", "ICO", "JPEG", "PCX", "PNG", "PPM", "SGI", "TGA", "TIFF", "WEBP")
WORDS = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\1\0\0", b"\x7f\xff\xff\xff")


def written(form: str) -> bytes:
    """A picture of 16×16 pixels in this format."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


def spoilt(content: bytes, rng: random.Random) -> bytes:
    """The file with bytes or a whole word changed near its beginning or anywhere, or cut short."""
    made = bytearray(content)
    for _ in range(rng.choice([1, 2, 8])):
        place = rng.randrange(min(len(made), rng.choice([40, 200, len(made)])))
        match rng.choice(["byte", "word", "end"]):
            case "byte":
                made[place] = rng.randrange(256)
            case "word":
                made[place : place + 4] = rng.choice(WORDS)
            case "end":
                del made[max(4, place) :]
    return bytes(made)


@pytest.mark.parametrize("form", FORMATS)
def test_a_spoilt_picture_is_read_or_named(form: str, tmp_path: Path, mutants: int) -> None:
    content, rng, place = written(form), random.Random(0), tmp_path / f"picture.{form.lower()}"
    place.write_bytes(content)
    assert _pixels(_opened(place), place).shape == (3, 16, 16)
    told: list[str] = []
    for _ in range(mutants):
        place.write_bytes(spoilt(content, rng))
        try:
            _pixels(_opened(place), place)
        except UserError as error:
            told.append(str(error))
    assert told, "some mutations spoil a picture"
    assert all(one.startswith(f"{place}: ") and one.isprintable() for one in told)
