"""PatchCamelyon's file layout, that of PCam and its sample: a file of patches and one of labels for each part."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from gcnnbench.data.files import md5
from gcnnbench.data.parts import Part
from gcnnbench.disk import whole_file
from gcnnbench.errors import UserError

FOLDER = "pcam"
SPLITS = {"train": "train", "validation": "valid", "test": "test"}
"""The name of each part in its files' names."""
PATCHES = {
    "PCam": {"train": 262_144, "validation": 32_768, "test": 32_768},
    "pcam-sample": {"train": 2_357, "validation": 500, "test": 500},
}
"""The patches in each part of the data sets that share this layout, by which their files are told apart."""
ROWS = 1024


def file_name(part: str, letter: str) -> str:
    """The name of the file with a part's patches (`x`) or labels (`y`)."""
    return f"camelyonpatch_level_2_split_{SPLITS[part]}_{letter}.h5"


def read_patches(folder: Path, name: str) -> dict[str, Part]:
    """The parts of one of the data sets in this layout; patches are mapped from the files, not read into memory.

    Args:
        folder: the data directory, in which the files stand below `pcam`.
        name: a key of `PATCHES`.

    Returns:
        Images uint8 (images, 3, 96, 96), a view of the file, and labels int64 (images,) by part.

    Raises:
        UserError: the files are those of another data set in this layout, or hold something else.
    """
    parts = {}
    for part, count in PATCHES[name].items():
        images = _array(folder / FOLDER / file_name(part, "x"), "x", count, (96, 96, 3), name)
        labels = _array(folder / FOLDER / file_name(part, "y"), "y", count, (1, 1, 1), name)
        parts[part] = Part(images.permute(0, 3, 1, 2), labels.reshape(-1).to(torch.int64))
    return parts


def _array(path: Path, key: str, count: int, shape: tuple[int, ...], name: str) -> Tensor:
    """The array in a file, mapped where it stands in one piece; else a plain copy beside it is made and mapped."""
    try:
        with h5py.File(path) as file:
            stored = file[key]
            if not isinstance(stored, h5py.Dataset):
                raise UserError(f"{path} is no file of {name}: {key} is no array in it")
            if stored.shape != (count, *shape) or stored.dtype != np.uint8:
                raise UserError(_another(path, stored.shape, str(stored.dtype), (count, *shape), name))
            offset = stored.id.get_offset()
            if offset is None:
                path, offset = _unpacked(path, stored), 0
    except (OSError, KeyError) as error:
        raise UserError(f"{path} is no whole HDF5 file of {name}: {error}") from error
    # Copy-on-write: torch wants memory it may write to, and the file stays as it is.
    return torch.from_numpy(np.memmap(path, np.uint8, "c", offset, (count, *shape)))


def _another(path: Path, shape: tuple[int, ...], dtype: str, wanted: tuple[int, ...], name: str) -> str:
    for other, counts in PATCHES.items():
        if other != name and shape[:1] and shape[0] in counts.values() and shape[1:] == wanted[1:]:
            return (
                f"{path} holds {shape[0]:,} patches, as {other} has; {name} has {wanted[0]:,}: the two use the same "
                "file names, so name another directory with --data"
            )
    return f"{path} holds {dtype} {shape}; {name} has uint8 {wanted}"


def _unpacked(path: Path, stored: h5py.Dataset) -> Path:
    """A plain copy of an array that the file keeps in pieces, made once for this very file.

    Its name holds what tells the file from any other that stood or will stand in its place: length, times of its
    content and of its entry in the file system, and number there. A file put back with its old date is another one.
    """
    found = path.stat()
    key = f"{found.st_size:x}-{found.st_mtime_ns:x}-{found.st_ctime_ns:x}-{found.st_ino:x}"
    plain = path.with_suffix(f".{key}.u8")
    if plain.is_file() and plain.stat().st_size == stored.size:
        return plain
    with whole_file(plain) as copy:
        for first in range(0, len(stored), ROWS):
            copy.write(stored[first : first + ROWS].tobytes())
    for old in path.parent.glob(f"{path.stem}*.u8"):
        if old != plain:
            old.unlink(missing_ok=True)  # who has mapped it goes on reading it
    return plain


def unpack_archives(folder: Path, archives: Mapping[str, str]) -> list[str]:
    """Unpack the archives that are there and right, and say which are still wanted.

    Args:
        folder: the data directory.
        archives: the md5 of each archive by its name, `….h5.gz`.

    Returns:
        The names of the archives that are missing or wrong and whose file is not there either.
    """
    wanted = []
    for name, expected in archives.items():
        archive, file = folder / FOLDER / name, folder / FOLDER / name.removesuffix(".gz")
        if file.exists():
            continue
        if not archive.exists() or md5(archive) != expected:
            wanted.append(name)
            continue
        with gzip.open(archive) as packed, whole_file(file) as plain:
            shutil.copyfileobj(packed, plain, 1 << 20)
    return wanted
