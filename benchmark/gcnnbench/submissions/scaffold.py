"""`gcnnbench new`: a small network of one of three kinds with its card, correct as it stands."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from gcnnbench.cards.entries import build_network, load_module
from gcnnbench.cards.new_folder import free_folder, templates, written_aside
from gcnnbench.cards.registry import Registry
from gcnnbench.device import seeded
from gcnnbench.runs.measuring import multiply_accumulates, trainable_parameters

Kind = Literal["torch", "gcnn", "e2cnn"]
TEMPLATES = Path(__file__).with_name("templates")
BENCHMARK, SIZE = "quickstart", 12


@dataclass(frozen=True)
class _Start:
    title: str
    summary: str
    group: str
    planes: int
    smallest_size: int
    requires: str = ""


STARTS: dict[str, _Start] = {
    "torch": _Start("A plain CNN", "Three convolutions, two of them pooled, and no symmetry.", "trivial", 16, 4),
    "gcnn": _Start(
        "A p4 G-CNN", "Four p4 convolutions and one max-pool; exact where the pool meets an even size.", "p4", 8, 2
    ),
    "e2cnn": _Start(
        "A C4-steerable CNN", "Four steerable convolutions and one max-pool; exact at even sizes.", "C4", 8, 2, "e2cnn"
    ),
}


def new(name: str, kind: Kind, parent: Path) -> Path:
    """Write a submission's folder; parameters and MACs on its card are counted on the network that it holds.

    Args:
        name: the model's name and the folder's.
        kind: plain torch, this suite's group layers, or e2cnn.
        parent: where the folder is made.

    Returns:
        The folder.

    Raises:
        UserError: the name has another form, is taken, or something stands there already.
    """
    registry = Registry.load()
    folder = free_folder(registry, "model", name, parent, longest=60, example="p4cnn-wide")
    with written_aside(folder) as made:
        shutil.copyfile(TEMPLATES / kind / "model.py", made / "model.py")
        facts, texts = _facts(registry, name, kind), templates(TEMPLATES)
        for file in ("model.yaml", "README.md"):
            (made / file).write_text(texts.get_template(f"{file}.j2").render(facts), encoding="utf-8")
    return folder


def _facts(registry: Registry, name: str, kind: Kind) -> dict[str, object]:
    """What the card's template asks for."""
    start, benchmark = STARTS[kind], registry.benchmark(BENCHMARK)
    channels, classes = benchmark.input.channels, registry.dataset(benchmark.dataset).classes
    with seeded(torch.device("cpu"), 0):
        network = build_network(
            load_module("model", f"template-{kind}", TEMPLATES / kind, [start.requires] if start.requires else []),
            f"{name}@{SIZE}",
            size=SIZE,
            channels=channels,
            classes=classes,
            hyperparameters={"planes": start.planes},
        )
    return {
        "name": name,
        "benchmark": BENCHMARK,
        "size": SIZE,
        "channels": channels,
        "classes": classes,
        "count": trainable_parameters(network),
        "macs": multiply_accumulates(network, torch.zeros(1, channels, SIZE, SIZE)),
        "title": start.title,
        "summary": start.summary,
        "group": start.group,
        "planes": start.planes,
        "smallest_size": start.smallest_size,
        "requires": start.requires,
    }
