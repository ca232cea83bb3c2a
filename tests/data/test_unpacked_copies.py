"""The plain copy of an array that a file keeps in pieces is one of this very file, whatever date that file bears."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np

from gcnnbench.data.pcam import _array


def write(path: Path, value: int) -> None:
    aside = path.with_suffix(".new")
    with h5py.File(aside, "w") as file:
        file.create_dataset("x", data=np.full((8, 4, 4, 3), value, np.uint8), chunks=(2, 4, 4, 3))
    aside.replace(path)


def test_a_file_put_back_with_its_old_date_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "camelyonpatch_level_2_split_test_x.h5"
    write(path, 1)
    os.utime(path, ns=(10**18, 10**18))

    def read() -> int:
        return int(_array(path, "x", 8, (4, 4, 3), "PCam").max())

    assert read() == read() == 1
    assert len(list(tmp_path.glob("*.u8"))) == 1
    write(path, 2)
    os.utime(path, ns=(10**18, 10**18))
    assert read() == 2
    assert len(list(tmp_path.glob("*.u8"))) == 1, "copies of other files are taken away"
    (copy,) = tmp_path.glob("*.u8")
    copy.write_bytes(copy.read_bytes()[:-1])
    assert read() == 2
