"""Events: what is told while cells run, small enough to be sent between processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gcnnbench.formatting import share
from gcnnbench.nn.groups import group
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.state import CellState


@dataclass(frozen=True)
class Event:
    """What happens while a plan is executed, small enough to be sent between processes.

    `done` of `total` are epochs in training and conditions in scoring; `text` says how a cell starts, what came out, or
    why it failed or was stopped.
    """

    kind: Literal["started", "advanced", "finished", "failed", "stopped", "waiting", "said"]
    cell: str = ""
    phase: str = ""
    done: int = 0
    total: int = 0
    images_per_second: float = 0.0
    text: str = ""


Report = Callable[[Event], None]
"""Who is told how the work goes on."""


def how_started(cell: Cell, state: CellState) -> str:
    """Whether a cell starts or is resumed, where, and on how many threads."""
    resumed = f"resumed after epoch {state.training.epochs_done}, in {state.phase}"
    return f"{resumed if state.sessions > 1 else 'started'} on {cell.device}, threads: {cell.threads}"


def progress(cell: Cell, state: CellState) -> Event:
    """How far a cell is in training or scoring, and how fast."""
    training, scored = state.training, state.evaluation
    if state.phase == "training":
        seconds = sum(epoch["seconds"] for epoch in training.history)
        rate = training.images_seen / seconds
        return Event("advanced", cell.name, "training", training.epochs_done, cell.card.recipe.epochs, rate)
    protocol = cell.card.evaluation
    total = len(group(protocol.group)) + len(protocol.curve.angles)
    rate = scored.scored / max(scored.seconds, 1e-9)
    return Event("advanced", cell.name, "scoring", len(scored.logits) + len(scored.classes), total, rate)


def outcome(cell: Cell, finished: Finished) -> str:
    """The accuracies of a finished cell, and its time; and where its steps should have been recorded and were not."""
    found, cost = finished.record.metrics, finished.record.cost
    upright, orbit = (share(found[f"accuracy.{name}"]) for name in ("upright", "orbit"))
    recorded = finished.record.provenance.cuda_graphs or not cell.cuda_graphs
    why = "" if recorded else "; without CUDA graphs: it has layers whose steps cannot be recorded"
    return f"upright {upright}%, orbit {orbit}% in {cost.train_seconds + cost.test_seconds:,.0f} s{why}"
