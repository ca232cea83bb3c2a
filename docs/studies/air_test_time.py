"""What averaging over six copies of each test image adds to a network of `cifar10-air`, as its source tests with them.

    python docs/studies/air_test_time.py RESULTS --data DIR [--entry z2-air-wide@33]

The source averages the logits of an image, of two copies moved by a pixel along the diagonal (what comes in is
reflected) and of the mirrors of all three; the copies in place have half of the weight (`infer_mirror_translate` in
airbench/lib_airbench93.py of KellerJordan/cifar10-airbench at f1c599c). Nothing is trained: the weights beside the
records are scored as they are and so averaged, on all test images. The question is how much of the distance between
this suite's accuracy and the published 93.0 that explains. It was written before a number of `z2-air-wide` was seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.cards.registry import Registry
from gcnnbench.data.images import Images
from gcnnbench.errors import UserError
from gcnnbench.formatting import interval, percent, points, share
from gcnnbench.layout import pipes
from gcnnbench.leaderboard.records import counted, stored_records
from gcnnbench.plain_files import read_plain
from gcnnbench.rewriting.folded import for_scoring
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import prepare_material
from gcnnbench.runs.files import WEIGHTS_BYTES, weights_path
from gcnnbench.scoring.weights import load_weights
from gcnnbench.statistics import paired, summary

BENCHMARK = "cifar10-air"
BATCH = 500


@dataclass(frozen=True)
class Seed:
    """Accuracies of one seed, as shares: as the record has it, here as it is, and averaged over six copies."""

    seed: int
    recorded: float
    plain: float
    averaged: float


def copies(images: Tensor) -> Iterator[tuple[float, Tensor]]:
    """The six copies of images (batch, channels, size, size), each with its weight; the weights add up to one."""
    size = images.shape[-1]
    padded = F.pad(images, (1, 1, 1, 1), "reflect")
    moved = [padded[..., at : at + size, at : at + size] for at in (0, 2)]
    for weight, shown in ((0.25, images), *((0.125, one) for one in moved)):
        yield weight, shown
        yield weight, shown.flip(-1)


@torch.no_grad()
def accuracies(network: nn.Module, images: Images) -> tuple[float, float]:
    """Of a network on images as they are, and averaged over their copies."""
    network, right = for_scoring(network.eval()), [0, 0]
    for start in range(0, len(images), BATCH):
        at = slice(start, min(start + BATCH, len(images)))
        shown, labels = images.batch(at), images.labels[at]
        averaged = sum((weight * network(copy) for weight, copy in copies(shown)), torch.zeros(()))
        for place, logits in enumerate((network(shown), averaged)):
            right[place] += int((logits.argmax(1) == labels).sum())
    return right[0] / len(images), right[1] / len(images)


def seeds(results: Path, data: Path, entry: str) -> Iterator[Seed]:
    """Every seed of an entry whose weights are beside its record.

    Raises:
        UserError: there is none.
    """
    registry, found = Registry.load(), False
    for one in counted(stored_records(registry, results, registry.benchmark(BENCHMARK))).get(entry, []):
        path = weights_path(results / one.place, results, one.record)
        if path.is_file():
            found = True
            cell = Cell(registry, BENCHMARK, entry, one.run.seed, "cpu", torch.get_num_threads(), data)
            material = prepare_material(cell, torch.device("cpu"))
            load_weights(material.network, load(read_plain(path, WEIGHTS_BYTES)))
            recorded = one.record.metrics["accuracy.upright"] or 0.0
            yield Seed(one.run.seed, recorded, *accuracies(material.network, material.test))
    if not found:
        raise UserError(f"{results} has no record of {entry} in {BENCHMARK} with its weights")


def table(found: list[Seed]) -> str:
    """A row for each seed, and the mean gain with its interval where there are two or more."""
    rows = [
        [str(one.seed), *map(share, (one.recorded, one.plain, one.averaged)), points(one.averaged - one.plain)]
        for one in found
    ]
    test = paired([one.averaged - one.plain for one in found])
    means = [percent(summary([getattr(one, name) for one in found])) for name in ("recorded", "plain", "averaged")]
    rows.append(["all", *means, f"{points(test.difference)} {interval(test.interval)}"])
    return pipes((["seed", "recorded", "here", "averaged", "gain"], rows, "rrrrr"))


def main(
    results: Path,
    data: Annotated[Path, typer.Option(help="Where the data sets are.")],
    entry: Annotated[str, typer.Option(help="Which network.")] = "z2-air-wide@33",
) -> None:
    """Score the weights beside records as they are and averaged over six copies of each test image."""
    typer.echo(table(list(seeds(results, data, entry))))


if __name__ == "__main__":
    typer.run(main)
