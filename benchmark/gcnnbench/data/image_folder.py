"""Images of one's own as parts of a data set: from folders with a class each, or from any torch `Dataset`."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torchvision.datasets import ImageFolder

from gcnnbench.data.parts import Part
from gcnnbench.errors import UserError
from gcnnbench.outside_text import as_line
from gcnnbench.plain_files import read_given

PARTS = ("train", "validation", "test")
WHOLE = "all"
"""The name of the only part where a folder holds classes and no parts."""
EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
"""Pillow's modes that become grey or RGB without loss of range; 16 bits a pixel would all but end up white."""


class Pairs(Protocol):
    """A map-style torch `Dataset` of images with their classes."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> tuple[Any, Any]: ...


def read_image_folder(folder: Path) -> tuple[dict[str, Part], tuple[str, ...]]:
    """The parts of a folder of images, and the names of its classes.

    Images lie in `PART/CLASS/FILE` with the parts train, test and, if there is one, validation; or in `CLASS/FILE`, as
    one part `all`. Classes are counted in the order of their names, files are read in the order of theirs.

    Args:
        folder: its files are in a format that Pillow reads; all images are of one size, square, and grey or coloured.

    Returns:
        Parts with images uint8 (images, 1 or 3, size, size) and labels int64 (images,).

    Raises:
        UserError: there are no images, classes differ between parts, or an image differs from the first; it is named.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; images lie in {folder}/train/CLASS and {folder}/test/CLASS")
    folders = {name: folder / name for name in PARTS if (folder / name).is_dir()} or {WHOLE: folder}
    if WHOLE not in folders and not {"train", "test"} <= set(folders):
        lacking = next(name for name in ("train", "test") if name not in folders)
        raise UserError(
            f"{folder}: there is {next(iter(folders))}/ and no {lacking}/; give both, or class folders alone"
        )
    read = {name: _image_folder(path) for name, path in folders.items()}
    classes = tuple(next(iter(read.values())).classes)
    for name, found in read.items():
        if tuple(found.classes) != classes:
            odd = sorted({*found.classes} ^ {*classes})[0]
            raise UserError(
                f"{folders[name]}: the class {odd} is not in every part; each needs a folder for each class"
            )
    if len(classes) < 2:
        raise UserError(
            f"{folder}: one class ({', '.join(classes)}) is nothing to tell apart; make a folder for each class"
        )
    first = next(iter(read.values())).samples[0][0]
    return {
        name: part_of(found, like=Path(first), files=[Path(path) for path, _ in found.samples])
        for name, found in read.items()
    }, classes


def part_of(dataset: Pairs, *, like: Path | None = None, files: list[Path] | None = None) -> Part:
    """A part made of any map-style torch `Dataset`, as those of torchvision.

    Args:
        dataset: pairs of an image, a Pillow one or a tensor uint8 (channels, size, size), and its class.
        like: an image file whose size and colours all others have; those of the first image where None.
        files: what the images are called in messages.

    Raises:
        UserError: it is empty, an image is not square, is of another type, or differs from the first.
    """
    if len(dataset) == 0:
        raise UserError("the data set has no images")
    shape = None if like is None else tuple(_pixels(_opened(like), like).shape)
    images, labels = [], []
    for index in range(len(dataset)):
        name: object = f"image {index}" if files is None else files[index]
        image, label = dataset[index]
        pixels = _pixels(image, name)
        shape = shape or tuple(pixels.shape)
        if tuple(pixels.shape) != shape:
            raise UserError(
                f"{name}: {_told(tuple(pixels.shape))}, where the first image is {_told(shape)}; make all alike"
            )
        images.append(pixels)
        labels.append(int(label))
    return Part(torch.stack(images), torch.tensor(labels, dtype=torch.int64))


def _image_folder(path: Path) -> ImageFolder:
    try:
        return ImageFolder(str(path), loader=lambda file: _opened(Path(file)))
    except FileNotFoundError as error:
        said = str(error).splitlines()[0].removesuffix(".")
        raise UserError(f"{path}: {said}; images lie in {path}/CLASS, a folder for each class") from None


def _opened(path: Path) -> Image.Image:
    content = read_given(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is read all the same needs no word
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(content)) as image:
                return image.copy()
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        most = f"{Image.MAX_IMAGE_PIXELS:,} pixels"
        raise UserError(f"{path}: an image of more than {most} is not read; cut or resize it") from None
    except Exception as error:  # a decoder fails on a damaged file in any way it likes
        why = "" if isinstance(error, UnidentifiedImageError) else f" ({as_line(str(error)) or type(error).__name__})"
        raise UserError(f"{path}: no image that Pillow reads{why}") from None


def _pixels(image: object, name: object) -> Tensor:
    """uint8 (1 or 3, size, size)."""
    if isinstance(image, Image.Image):
        if image.mode not in EIGHT_BITS:
            raise UserError(f"{name}: its pixels are of mode {image.mode}; save all images with 8 bits a channel")
        values = torch.from_numpy(np.array(image.convert("L" if image.mode in ("1", "L") else "RGB")))
        image = values[None] if values.ndim == 2 else values.permute(2, 0, 1)
    if not isinstance(image, Tensor) or image.dtype != torch.uint8 or image.ndim != 3:
        raise UserError(
            f"{name}: {type(image).__name__} is no image; give a Pillow image or uint8 (channels, size, size)"
        )
    if image.shape[1] != image.shape[2]:
        raise UserError(
            f"{name}: {_told(tuple(image.shape))} is not square; cut or resize all images to one square size"
        )
    return image.contiguous()


def _told(shape: tuple[int, ...]) -> str:
    return f"{shape[2]}×{shape[1]} with {shape[0]} channel{'' if shape[0] == 1 else 's'}"
