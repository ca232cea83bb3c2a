"""The determinism audit: whether this machine repeats its bits, and how far they move with batch size and threads.

What is computed twice in the same way must be the same bits, in scoring and in training. With another batch size or
number of threads the order of additions is another one, and the last digits move: that is the float noise by which
records are re-scored. The last audit of each device is kept below the results directory, outside git.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from gcnnbench.cards.base import Model
from gcnnbench.cards.values import Positive
from gcnnbench.determinism.float_noise import centred, double_logits, logits, root_mean_square
from gcnnbench.determinism.packages import torchvision_problem
from gcnnbench.device import arithmetic, choose, describe
from gcnnbench.formatting import how_many
from gcnnbench.plain_files import read_plain
from gcnnbench.rewriting.folded import for_scoring
from gcnnbench.runs import provenance
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import Material, prepare_material
from gcnnbench.runs.store import Store
from gcnnbench.strict_json import parse_model
from gcnnbench.training.loop import train
from gcnnbench.training.task import Task, TrainingState

IMAGES = 128
BATCHES = (128, 1, 7, 32)
REPEATS = 2
STEPS = 2


class Variation(Model):
    """Scoring with some threads and batch size, against the first way: one thread, batches of 128.

    `difference` is max |Δlogit|, `relative` the same over the logits' root mean square, both of centred logits; `flips`
    is the number of images whose predicted class is another; `repeats` says whether the same way gave the same bits
    twice.
    """

    threads: Positive
    batch_size: Positive
    repeats: bool
    difference: float
    relative: float
    flips: int


class EntryAudit(Model):
    """What one network shows. `float64` is the relative difference of the first way from float64."""

    benchmark: str
    entry: str
    images: Positive
    steps: Positive
    training_repeats: bool
    float64: float
    variations: tuple[Variation, ...]

    @property
    def noise(self) -> float:
        """The largest relative difference."""
        return max(self.float64, *(variation.relative for variation in self.variations))


class Audit(Model):
    """The audit of one device of this machine; `problems` are what must not be."""

    schema_version: Literal[1]
    at: str
    device: str
    device_name: str
    versions: dict[str, str]
    flags: dict[str, str]
    entries: tuple[EntryAudit, ...]
    problems: tuple[str, ...]


def audit_machine(cells: Sequence[Cell]) -> Audit:
    """Audit a device with some networks.

    Args:
        cells: the networks, all on one device; their data must be here.

    Raises:
        UserError: a network or its data cannot be loaded.
    """
    device = choose(cells[0].device)
    entries = tuple(_entry(cell, device) for cell in cells)
    packages = torchvision_problem()
    return Audit(
        schema_version=1,
        at=provenance.now(),
        device=device.type,
        device_name=describe(device),
        versions=provenance.versions(),
        flags=flags(device),
        entries=entries,
        problems=(*([packages] if packages else []), *(what for one in entries for what in _problems(one))),
    )


def flags(device: torch.device) -> dict[str, str]:
    """The settings that bits depend on, as they are while a cell runs."""
    with arithmetic(device, "fp32", 1):
        return {
            "deterministic algorithms": str(torch.are_deterministic_algorithms_enabled()),
            "TF32 in matrix products": str(torch.backends.cuda.matmul.allow_tf32),
            "TF32 in convolutions": str(torch.backends.cudnn.allow_tf32),
            "cuDNN benchmark": str(torch.backends.cudnn.benchmark),
            "CUBLAS_WORKSPACE_CONFIG": os.environ.get("CUBLAS_WORKSPACE_CONFIG", "not set"),
            "CPU instructions": torch.backends.cpu.get_cpu_capability(),
        }


def kept_path(results: Path, device: str) -> Path:
    """Where the last audit of a device is kept."""
    return results / ".work" / f"doctor-{device}.json"


def keep(results: Path, audit: Audit) -> Path:
    """Keep an audit in the place of the last one."""
    path = kept_path(results, audit.device)
    Store(results).write(path, audit.model_dump_json(indent=1).encode() + b"\n")
    return path


def known_noise(results: Path, device: str) -> float:
    """The largest relative difference that the kept audit found; 0 where there is none of this machine and torch."""
    try:
        audit = parse_model(read_plain(kept_path(results, device)), Audit)
    except (OSError, ValueError):
        return 0.0
    here = describe(choose(device)), provenance.versions()["torch"]
    same = (audit.device_name, audit.versions.get("torch")) == here
    return max((entry.noise for entry in audit.entries), default=0.0) if same else 0.0


def _entry(cell: Cell, device: torch.device) -> EntryAudit:
    images = max(IMAGES, STEPS * cell.card.recipe.batch_size)
    cell = replace(cell, limit=images)
    steps, first, material = _trained(cell, device)
    _, second, _ = _trained(cell, device)
    reference: Tensor | None = None
    variations = []
    for threads in _threads(device):
        for batch in BATCHES:
            scoring = for_scoring(material.network)
            count = len(material.test)
            found, *again = (logits(scoring, material.test.batch, count, threads, batch) for _ in range(REPEATS))
            reference = found if reference is None else reference
            difference = float((centred(found) - centred(reference)).abs().max())
            variations.append(
                Variation(
                    threads=threads,
                    batch_size=batch,
                    repeats=all(torch.equal(found, other) for other in again),
                    difference=difference,
                    relative=difference / root_mean_square(reference),
                    flips=int((found.argmax(1) != reference.argmax(1)).sum()),
                )
            )
    if reference is None:
        raise TypeError("no way to score was tried")
    with arithmetic(device, "fp32", 1):
        exact = double_logits(material.network, material.test.batch(slice(None)))
    return EntryAudit(
        benchmark=cell.card.full_name,
        entry=cell.entry,
        images=len(material.test),
        steps=steps,
        training_repeats=all(torch.equal(first[name], second[name]) for name in first),
        float64=float((centred(reference) - centred(exact)).abs().max()) / root_mean_square(reference),
        variations=tuple(variations),
    )


def _trained(cell: Cell, device: torch.device) -> tuple[int, dict[str, Tensor], Material]:
    """A network after its first steps: how many, the weights, and the network with the images."""
    card = cell.card
    recipe = card.recipe.model_copy(update={"epochs": 1})
    with arithmetic(device, "fp32", cell.threads):
        material = prepare_material(cell, device)
    task = Task(card.name, cell.seed, recipe, material.train, None, device, cell.threads)
    recipe = recipe.model_copy(update={"tested_model": "last"})
    (state,) = train(material.network, replace(task, recipe=recipe), TrainingState())
    return state.steps, state.tested_network, material


def _threads(device: torch.device) -> list[int]:
    """One thread, two and all; on a GPU the CPU's threads have no part in the logits."""
    return sorted({1, 2, os.cpu_count() or 1}) if device.type == "cpu" else [1]


def _problems(entry: EntryAudit) -> Iterator[str]:
    if not entry.training_repeats:
        yield f"{entry.entry}: {entry.steps} training steps made twice give other bits, so no cell can be repeated here"
    for way in entry.variations:
        if not way.repeats:
            how = f"with {how_many(way.threads, 'thread')} in batches of {way.batch_size}"
            yield f"{entry.entry}: scoring twice {how} gives other bits"
