"""Estimates time and space of a plan from a few training steps made on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import torch

from gcnnbench.cards.base import split_entry
from gcnnbench.data.images import prepare
from gcnnbench.data.splits import order_seed, split_indices
from gcnnbench.device import (
    arithmetic,
    choose,
    free_memory,
    is_here,
    peak_memory,
    reset_peak_memory,
    seeded,
)
from gcnnbench.errors import UserError
from gcnnbench.foreign_code import REFUSALS
from gcnnbench.nn.groups import group
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.finish import COMMITTED_WEIGHTS_BYTES
from gcnnbench.runs.outcomes import said_of_network
from gcnnbench.runs.speed import PATIENCE, PROBE, STEPS, Speed, bare_speed, made_up, measure
from gcnnbench.scoring.macs import forward_macs
from gcnnbench.training.many_seeds import train_many_seeds
from gcnnbench.training.task import Task, TrainingState

BUDGET = 4.0
"""Seconds of computing after which the cells of a plan are no longer measured: the larger ones are scaled from what
was. Waiting for other processes does not count, or a busy machine would be known least."""
LARGE = 2_000_000_000
"""Multiply-accumulates of one image above which a network is neither built nor measured."""
RECORD_BYTES = 40_000
BYTES_PER_COUNT = 9
MEASURED_AS = 4  # passes that equivariance costs for each image and element: before and after, in float64
MEASURED_WITHIN, SCALED_WITHIN = 2.0, 4.0
"""A cell takes between the estimate divided and multiplied by this, on a machine as busy as when it was made: a few
steps say little of caches and of other processes, and multiply-accumulates are not time."""
UNKNOWN = Speed(train=nan, test=nan, macs=1)
"""The speed of a device that is not here."""
MEMORY_SHARE = 0.8
"""The share of the free memory that seeds trained at once may take together."""


@dataclass(frozen=True)
class Estimate:
    """Seconds and bytes of one cell; `committed` bytes are the record and small weights, `kept` lie outside git.

    `measured`: on the network itself; else scaled by its multiply-accumulates from another one. The seconds are NaN
    where this machine has no such device, so that nothing could be measured.
    """

    train_seconds: float
    test_seconds: float
    committed: int
    kept: int
    measured: bool = True

    @property
    def within(self) -> float:
        """The factor either way that the seconds may be off."""
        return MEASURED_WITHIN if self.measured else SCALED_WITHIN


def forecast(cells: Sequence[Cell]) -> list[Estimate | UserError]:
    """An estimate for each cell within about `BUDGET` seconds of computing, or why its network cannot be run.

    The smallest networks are measured first; those that are `LARGE`, or for which no time is left, are scaled from the
    last one that was, or from a bare convolution where there is none. Cells for a device that only the machines of an
    engine have are told without seconds.
    """
    began, computed, known = time.perf_counter(), 0.0, dict[int, Speed]()
    found: dict[int, Estimate | UserError] = {}
    sizes = {}
    for place, cell in enumerate(cells):
        try:
            sizes[place] = expected_macs(cell)
        except REFUSALS as error:
            found[place] = UserError(said_of_network(error))
    for place in sorted(sizes, key=lambda place: sizes[place]):
        cell, macs = cells[place], sizes[place]
        if not is_here(cell.device):
            found[place] = _estimate(cell, UNKNOWN, _weights_on_card(cell), measured=False)
            continue
        left, share = BUDGET - computed, computed / (time.perf_counter() - began)
        nearest = known[max(known)] if known else bare_speed(cell)
        probe = 2 * STEPS * min(PROBE, cell.card.recipe.batch_size) * nearest.of(macs).train
        if macs > LARGE or (known and probe * share > left):
            found[place] = _estimate(cell, nearest.of(macs), _weights_on_card(cell), measured=False)
            continue
        start = time.process_time()
        try:
            known[macs], weights = measure(cell, macs, min(PATIENCE, left / 2))
        except REFUSALS as error:
            found[place] = UserError(said_of_network(error))
        else:
            found[place] = _estimate(cell, known[macs], weights)
        computed += time.process_time() - start
    return [found[place] for place in range(len(cells))]


def expected_macs(cell: Cell) -> int:
    """Those of one image: from the model's card, by the area of the image, or counted on a network without weights.

    Raises:
        UserError: the network cannot be built.
    """
    size = split_entry(cell.entry)[1]
    rows = [row for row in cell.model.parameters if row.macs]
    if rows:
        nearest = min(rows, key=lambda row: abs(row.size - size))
        return max(1, int((nearest.macs or 1) * (size / nearest.size) ** 2))
    with torch.device("cpu" if cell.model.requires else "meta"), torch.inference_mode():
        network = cell.registry.build(cell.entry, cell.card)
        network.eval()
        return max(1, forward_macs(network, torch.zeros(1, cell.card.input.channels, size, size)))


def _weights_on_card(cell: Cell) -> int:
    """Bytes of a cell's weights in single precision, as its model's card counts them."""
    return cell.model.parameters[0].count * 4


def _estimate(cell: Cell, speed: Speed, weights: int, *, measured: bool = True) -> Estimate:
    """Seconds and bytes of a cell from the speed of its network and the bytes of its weights."""
    card = cell.card
    dataset = cell.registry.dataset(card.dataset)
    parts = {name: part.images for name, part in dataset.parts.items()}
    shares = split_indices(parts, card.split, order_seed(card.name, cell.seed, card.split), cell.seed)
    counts = {name: min(len(indices), cell.limit or len(indices)) for name, indices in shares.items()}
    elements, angles = len(group(card.evaluation.group)), len(card.evaluation.curve.angles)
    conditions = elements + angles - 1  # 0° is upright
    steps = card.recipe.epochs * -(-counts["train"] // card.recipe.batch_size)
    validated = card.recipe.epochs * counts.get("validation", 0)
    if card.recipe.norm_statistics:
        validated += counts["train"] * (card.recipe.epochs if card.split.validation else 1)  # a pass forward each
    errors = MEASURED_AS * elements * card.evaluation.equivariance_images
    outputs = counts["test"] * (elements * dataset.classes * 4 + angles * 2)
    record = RECORD_BYTES + BYTES_PER_COUNT * dataset.classes**2 * (conditions + elements)
    small = weights <= COMMITTED_WEIGHTS_BYTES
    return Estimate(
        train_seconds=(
            steps * card.recipe.batch_size * speed.train
            + validated * speed.test
            + card.recipe.epochs * speed.probes
            + speed.between_epochs
        ),
        test_seconds=(conditions * counts["test"] + errors) * speed.test,
        committed=record + (weights if small else 0),
        kept=outputs + (0 if small else weights),
        measured=measured,
    )


def seeds_that_fit(cell: Cell, most: int, jobs: int = 1) -> int:
    """How many seeds of this cell's entry, at most `most`, can be trained as one computation in the memory there is.

    What one seed takes is the difference of the high-water marks of a step with two seeds and of one with one.

    Args:
        cell: benchmark, entry and device.
        most: how many are wanted.
        jobs: processes that share the memory.
    """
    card, device = cell.card, choose(cell.device)
    dataset = cell.registry.dataset(card.dataset)
    batch = made_up(dataset, card.recipe.batch_size)
    recipe = card.recipe.model_copy(update={"epochs": 1, "drop_last": False})
    free, peaks = free_memory(device), []
    for seeds in (1, 2):
        try:
            with seeded(device, 0), arithmetic(device, "fp32", cell.threads):
                networks = [cell.registry.build(cell.entry, card).to(device) for _ in range(seeds)]
                images = prepare(batch, card.input, split_entry(cell.entry)[1], device)
            tasks = [Task("estimate", seed, recipe, images, None, device, cell.threads) for seed in range(seeds)]
            reset_peak_memory(device)
            for _ in train_many_seeds(networks, tasks, [TrainingState() for _ in range(seeds)]):
                pass
        except REFUSALS:
            return 1  # running it says why
        peaks.append(peak_memory(device))
    pixels = sum(part.images for part in dataset.parts.values()) * dataset.channels * dataset.size**2
    each = max(peaks[1] - peaks[0], 0) + pixels * (1 if dataset.pixels == "uint8" else 4)
    return max(1, min(most, int(free * MEMORY_SHARE / jobs) // each))
