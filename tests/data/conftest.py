"""A small data set in MNIST's file format, with its card: what the tests of files and downloads work on."""

from __future__ import annotations

import gzip
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gcnnbench.cards.dataset_card import DatasetCard, File
from gcnnbench.cards.dataset_card import Part as PartCard
from gcnnbench.data.parts import Part, digest

SIZES = {"train": 60, "test": 20}
PREFIXES = {"train": "train", "test": "t10k"}


def idx(tensor: Tensor) -> bytes:
    """The tensor in MNIST's file format: magic number (unsigned bytes, number of axes), sizes, values."""
    return struct.pack(f">i{tensor.ndim}i", 0x0800 + tensor.ndim, *tensor.shape) + tensor.numpy().tobytes()


def made_up(sizes: dict[str, int]) -> dict[str, Part]:
    draws = torch.Generator().manual_seed(0)
    return {
        name: Part(
            torch.randint(256, (size, 1, 28, 28), dtype=torch.uint8, generator=draws),
            torch.randint(10, (size,), generator=draws),
        )
        for name, size in sizes.items()
    }


def packed(parts: dict[str, Part]) -> dict[str, bytes]:
    """The unpacked files' names and contents."""
    contents = {}
    for name, part in parts.items():
        contents[f"{PREFIXES[name]}-images-idx3-ubyte"] = idx(part.images[:, 0])
        contents[f"{PREFIXES[name]}-labels-idx1-ubyte"] = idx(part.labels.to(torch.uint8))
    return contents


WriteMnist = Callable[[Path, dict[str, int]], dict[str, Part]]


@pytest.fixture
def write_mnist() -> WriteMnist:
    """Writes made-up files of these sizes below a data directory and returns what they hold."""

    def write(folder: Path, sizes: dict[str, int]) -> dict[str, Part]:
        parts = made_up(sizes)
        raw = folder / "MNIST" / "raw"
        raw.mkdir(parents=True, exist_ok=True)
        for name, content in packed(parts).items():
            (raw / name).write_bytes(content)
        return parts

    return write


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A folder with the packed files, as a server would hold them."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name, content in packed(made_up(SIZES)).items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
    return folder


@pytest.fixture
def card() -> DatasetCard:
    """The card of the made-up data set."""
    parts = made_up(SIZES)
    files = packed(parts)
    return DatasetCard(
        name="made-up",
        title="Made up",
        summary="Noise in MNIST's file format.",
        licence="none",
        classes=10,
        channels=1,
        size=28,
        pixels="uint8",
        parts={name: PartCard(images=len(part), digest=digest(part)) for name, part in parts.items()},
        files=tuple(
            File(path=f"MNIST/raw/{name}", bytes=len(content), md5=hashlib.md5(content).hexdigest())
            for name, content in files.items()
        ),
        download_bytes=50_000,
        disk_bytes=100_000,
        by_hand="Put the four archives into MNIST/raw below the data directory.",
    )


@pytest.fixture
def data(tmp_path: Path, write_mnist: WriteMnist) -> Path:
    """A data directory with the made-up files, all right."""
    folder = tmp_path / "data"
    write_mnist(folder, SIZES)
    return folder
