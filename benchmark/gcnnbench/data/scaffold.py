"""`gcnnbench new NAME --images DIR`: a data set's card and code and a first benchmark, from a folder of images."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from gcnnbench.cards.new_folder import free_folder, templates, written_aside
from gcnnbench.cards.registry import Registry
from gcnnbench.data.image_folder import WHOLE, read_image_folder
from gcnnbench.data.parts import Part
from gcnnbench.errors import UserError

TEMPLATES = Path(__file__).with_name("templates")
TRAINED = 0.8
"""The share of the images that train, where the folder does not say which."""


def new_dataset(name: str, images: Path, parent: Path) -> Path:
    """Write a folder `NAME` with dataset.yaml, dataset.py and the benchmark `NAME-first`, right as they stand.

    Args:
        name: the data set's name and the folder's.
        images: a folder of images, as `read_image_folder` wants it.
        parent: where the folder is made.

    Returns:
        The folder.

    Raises:
        UserError: the name has another form, is taken, something stands there already, the folder would be one of the
            images' folders, or the images are not alike.
    """
    folder = free_folder(Registry.load(), "dataset", name, parent, longest=54, example="my-leaves")
    if images.resolve() in folder.resolve().parents:
        raise UserError(f"{folder} would lie among the images; name another place with --output")
    facts, texts = _facts(name, images), templates(TEMPLATES)
    with written_aside(folder) as made:
        for template, file in (
            ("dataset.yaml", "dataset.yaml"),
            ("dataset.py", "dataset.py"),
            ("benchmark.yaml", f"{name}-first.yaml"),
        ):
            (made / file).write_text(texts.get_template(f"{template}.j2").render(facts), encoding="utf-8")
        Registry.load([made])
    return folder


def _facts(name: str, images: Path) -> dict[str, object]:
    """What the templates ask for."""
    parts, classes = read_image_folder(images)
    first = next(iter(parts.values())).images
    train = round(TRAINED * len(first)) if WHOLE in parts else len(parts["train"])
    mean, std = _moments(parts[WHOLE] if WHOLE in parts else parts["train"])
    return {
        "name": name,
        "classes": [re.sub(r"[^\w .-]", "?", label) for label in classes],
        "channels": first.shape[1],
        "size": first.shape[2],
        "parts": {part: len(found) for part, found in parts.items()},
        "train": train,
        "measured": min(64, len(parts["test"]) if "test" in parts else len(first) - train),
        "disk_bytes": sum(path.stat().st_size for path in images.rglob("*") if path.is_file()),
        "mean": [f"{value:.4f}" for value in mean],
        "std": [f"{max(value, 1e-4):.4f}" for value in std],
    }


def _moments(part: Part) -> tuple[list[float], list[float]]:
    """Mean and population deviation of each channel, pixels scaled to [0, 1]."""
    values = part.images.permute(1, 0, 2, 3).flatten(1)
    scaled = [channel.to(torch.float64) / 255 for channel in values]
    return [float(x.mean()) for x in scaled], [float(x.std(correction=0)) for x in scaled]
