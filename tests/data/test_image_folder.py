"""Images of one's own: read from folders and torch data sets, and made a data set through the command line."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch.utils.data import TensorDataset
from typer.testing import CliRunner

from gcnnbench.cli.app import build_app
from gcnnbench.data.image_folder import part_of, read_image_folder
from gcnnbench.errors import UserError

NAMES = ("naught", "one", "two")


def write(folder: Path, parts: tuple[str, ...] = ("train", "test"), each: int = 120) -> Path:
    """scikit-learn's digits 0 to 2 as 8×8 images, `each` of them in each part."""
    digits = load_digits(n_class=3)
    for index in range(each * len(parts)):
        place = folder / parts[index // each] / NAMES[digits.target[index]]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[index] * 15).astype(np.uint8)).save(place / f"{index:04}.png")
    return folder


def test_parts_and_classes_are_those_of_the_folders(tmp_path: Path) -> None:
    parts, classes = read_image_folder(write(tmp_path / "own"))
    digits = load_digits(n_class=3)
    assert classes == NAMES
    assert {name: len(part) for name, part in parts.items()} == {"train": 120, "test": 120}
    # ImageFolder goes class by class; within a class the files keep their order.
    zeros = torch.from_numpy((digits.images[:120][digits.target[:120] == 0] * 15).astype(np.uint8))
    assert torch.equal(parts["train"].images[: len(zeros), 0], zeros)
    assert parts["train"].labels.unique().tolist() == [0, 1, 2]


def test_class_folders_alone_are_one_part(tmp_path: Path) -> None:
    parts, _ = read_image_folder(write(tmp_path / "own", ("",)))
    assert {name: len(part) for name, part in parts.items()} == {"all": 120}


def test_any_torch_dataset_is_a_part() -> None:
    images = torch.randint(256, (5, 3, 7, 7), dtype=torch.uint8)
    part = part_of(TensorDataset(images, torch.tensor([0, 1, 2, 1, 0])))
    assert torch.equal(part.images, images)
    assert part.labels.tolist() == [0, 1, 2, 1, 0]
    with pytest.raises(UserError, match="image 0: Tensor is no image; give a Pillow image or uint8"):
        part_of(TensorDataset(images.float(), torch.zeros(5)))


def spoil_size(folder: Path) -> None:
    Image.new("L", (9, 9)).save(folder / "test" / "two" / "odd.png")


def spoil_shape(folder: Path) -> None:
    Image.new("L", (8, 9)).save(folder / "test" / "two" / "odd.png")


def spoil_colours(folder: Path) -> None:
    Image.new("RGB", (8, 8)).save(folder / "test" / "two" / "odd.png")


def spoil_content(folder: Path) -> None:
    (folder / "test" / "two" / "odd.png").write_bytes(b"no image")


def spoil_depth(folder: Path) -> None:
    Image.fromarray(np.full((8, 8), 4000, np.uint16)).save(folder / "test" / "two" / "odd.png")


def sized(folder: Path, side: int) -> None:
    """A picture of side × side pixels by its header, in a file of a few dozen bytes."""
    place = folder / "test" / "two" / "odd.png"
    Image.new("RGB", (8, 8)).save(place, "BMP")
    content = bytearray(place.read_bytes())
    content[18:26] = struct.pack("<ii", side, side)
    place.write_bytes(content)


def spoil_header(folder: Path) -> None:
    sized(folder, 30_000)


def spoil_header_where_pillow_only_warns(folder: Path) -> None:
    sized(folder, 10_000)


def spoil_decoder(folder: Path) -> None:
    (folder / "test" / "two" / "odd.png").write_bytes(b"P6 8 8 70000\n" + bytes(192))


def spoil_file(folder: Path) -> None:
    (folder / "test" / "two" / "odd.png").symlink_to("/dev/null")


def spoil_classes(folder: Path) -> None:
    (folder / "test" / "three").mkdir()
    Image.new("L", (8, 8)).save(folder / "test" / "three" / "odd.png")


def spoil_parts(folder: Path) -> None:
    (folder / "test").rename(folder / "tset")


def spoil_levels(folder: Path) -> None:
    for image in list((folder / "train").rglob("*.png")):
        image.rename(folder / "train" / f"{image.parent.name}-{image.name}")
    for empty in [path for path in (folder / "train").iterdir() if path.is_dir()]:
        empty.rmdir()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (spoil_size, "odd.png: 9×9 with 1 channel, where the first image is 8×8 with 1 channel"),
        (spoil_shape, "odd.png: 8×9 with 1 channel is not square"),
        (spoil_colours, "odd.png: 8×8 with 3 channels, where the first image is 8×8 with 1 channel"),
        (spoil_content, "odd.png: no image that Pillow reads"),
        (spoil_depth, "odd.png: its pixels are of mode I;16; save all images with 8 bits a channel"),
        (spoil_header, "odd.png: an image of more than 89,478,485 pixels is not read"),
        (spoil_header_where_pillow_only_warns, "odd.png: an image of more than 89,478,485 pixels is not read"),
        (spoil_decoder, "odd.png: no image that Pillow reads (maxval must be"),
        (spoil_file, "odd.png: cannot be read: it is no plain file"),
        (spoil_classes, "the class three is not in every part"),
        (spoil_parts, "there is train/ and no test/"),
        (spoil_levels, "train/CLASS, a folder for each class"),
    ],
)
def test_the_image_that_is_not_like_the_others_is_named(tmp_path: Path, spoil: object, told: str) -> None:
    folder = write(tmp_path / "own", each=30)
    assert callable(spoil)
    spoil(folder)
    result = CliRunner().invoke(build_app(), ["new", "own", "--images", str(folder), "--output", str(tmp_path / "out")])
    assert isinstance(result.exception, UserError)
    assert told in str(result.exception)
    assert not list((tmp_path / "out").glob("*")), "nothing half-written"


def test_from_a_folder_of_images_to_a_row(tmp_path: Path) -> None:
    write(tmp_path / "data" / "own")
    runner, out = CliRunner(), tmp_path / "own"
    made = runner.invoke(
        build_app(), ["new", "own", "--images", str(tmp_path / "data" / "own"), "--output", str(tmp_path)]
    )
    assert made.exit_code == 0, made.output
    assert f"--include {out} --data {tmp_path / 'data'}" in made.stdout
    common = ["own-first", "--include", str(out), "--results", str(tmp_path / "results")]
    ran = runner.invoke(
        build_app(), ["run", *common, "--data", str(tmp_path / "data"), "--entry", "z2cnn@28", "--seeds", "0"]
    )
    assert ran.exit_code == 0, ran.output
    table = runner.invoke(build_app(), ["leaderboard", *common, "--format", "json"])
    (board,) = json.loads(table.stdout)
    (row,) = [row for row in board["rows"] if row["entry"] == "z2cnn@28"]
    assert row["seeds"] == [0], "the first run on a copy without a digest is no stale record"
    assert row["metrics"]["accuracy.upright"]["mean"] > 0.6
    status = runner.invoke(build_app(), ["status", *common, "--format", "json"])
    assert "stale" not in status.stdout
    first = next((tmp_path / "data" / "own").rglob("*.png"))
    Image.new("L", (8, 8)).save(first)
    again = runner.invoke(
        build_app(), ["run", *common, "--data", str(tmp_path / "data"), "--entry", "z2cnn@28", "--seeds", "1"]
    )
    assert "put that copy back, or delete" in str(again.exception)
    assert "dataset.py" not in str(again.exception)
    there = runner.invoke(
        build_app(), ["run", *common, "--data", str(tmp_path / "data"), "--entry", "z2cnn@28", "--seeds", "0"]
    )
    assert "0 cells run, 1 was done before" in there.stdout
    assert "the records are as they were, but data set own: part" in there.stderr, "nothing to do hides no other data"
    (tmp_path / "data" / "copies" / "own.json").unlink()
    anew = runner.invoke(
        build_app(), ["run", *common, "--data", str(tmp_path / "data"), "--entry", "z2cnn@28", "--seeds", "1"]
    )
    assert "numbers of two copies never meet: name another directory with --results" in str(anew.exception)
