"""Cells whose training only sleeps, so that what an engine adds to them can be seen on a busy machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from gcnnbench.cards.registry import Registry
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.record import sealed
from gcnnbench.runs.turns import Ended, Message, Turn, take

MODEL = """\
name: sleeper
title: A network that sleeps
summary: A linear network that sleeps in its training step.
model_version: 1
authors: [The gcnnbench authors]
licence: Apache-2.0
group: trivial
hyperparameters: {{seconds: {seconds}}}
parameters: [{{channels: 1, classes: 10, size: 8, count: 650}}]
"""
CODE = '''\
"""A linear network that sleeps in its training step."""

import time

from torch import Tensor, nn


class Sleeper(nn.Sequential):
    def __init__(self, pixels: int, classes: int, seconds: float) -> None:
        super().__init__(nn.Flatten(), nn.Linear(pixels, classes))
        self.seconds = seconds

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            time.sleep(self.seconds)
        return super().forward(images)


def build(*, size: int, channels: int, classes: int, seconds: float) -> nn.Module:
    return Sleeper(channels * size * size, classes, seconds)
'''
BENCHMARK = """\
name: sleep
version: 1
title: Sleep
summary: One step of training that sleeps, then a little scoring.
dataset: digits
split: {{train: {{part: all, images: 240}}, test: {{part: all, images: 64}}, shuffle: fixed}}
input: {{channels: 1, resize: none, mean: [0.3], std: [0.4]}}
recipe:
  epochs: 1
  batch_size: 240
  drop_last: false
  optimiser: {{name: adam, learning_rate: 0.004, weight_decay: 0.0}}
  schedule: {{name: constant}}
  augmentation: {{}}
  tested_model: last
  numeric_mode: fp32
evaluation:
  group: p4
  seen: [upright]
  curve: {{step: 90, fill: {{value: 0.0, scale: before-normalisation}}}}
  equivariance_images: 8
rank_by: accuracy.orbit
entries: [sleeper@8]
seeds: {seeds}
"""


def sleeping_cells(folder: Path, seconds: float, number: int) -> list[Cell]:
    """Cells that sleep so many seconds in their one step of training; the entry's code is written below the folder."""
    model = folder / "sleeper"
    model.mkdir(parents=True)
    (model / "model.yaml").write_text(MODEL.format(seconds=seconds), encoding="utf-8")
    (model / "model.py").write_text(CODE, encoding="utf-8")
    (card := folder / "sleep.yaml").write_text(BENCHMARK.format(seeds=number), encoding="utf-8")
    registry = Registry.load([model, card])
    return [Cell(registry, "sleep", "sleeper@8", seed, "cpu", 1, folder / "data") for seed in range(number)]


class SleepingEngine:
    """An engine whose turns only sleep, and end with the record of a cell that was really run, under their own seed.

    Args:
        slots: turns at a time, a thread each.
        seconds: how long a turn sleeps.
        cell: the cell that is run once.
    """

    streams = True

    def __init__(self, slots: int, seconds: float, cell: Cell) -> None:
        ends = (message.end for message in take(Turn((cell,), (None,), 3600.0)) if isinstance(message, Ended))
        (self.finished,) = (end for end in ends if isinstance(end, Finished))
        self.slots, self.seconds = slots, seconds
        self.threads = ThreadPoolExecutor(slots)

    def submit(self, turn: Turn, tell: Callable[[Message], None]) -> Future[None]:
        """Sleep in a thread, then tell the end; see `Engine`."""

        def sleep() -> None:
            time.sleep(self.seconds)
            for cell in turn.cells:
                record = sealed(self.finished.record.model_copy(update={"seed": cell.seed}))
                tell(Ended(cell.name, replace(self.finished, record=record)))

        return self.threads.submit(sleep)

    def close(self) -> None:
        """Wait for the threads."""
        self.threads.shutdown(cancel_futures=True)
