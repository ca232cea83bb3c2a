"""The state of a cell that is being run: all that a checkpoint holds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from gcnnbench.runs import provenance
from gcnnbench.runs.cell import Cell
from gcnnbench.scoring.conditions import EvaluationState
from gcnnbench.training.task import TrainingState

Phase = Literal["build", "training", "evaluation"]


@dataclass
class CellState:
    """All that a cell knows at some moment, in plain tensors, numbers and strings: what a checkpoint holds.

    `seeds_at_once` seeds are one computation, this one at `place` among them; null where it was trained alone.
    """

    digest: str
    machine: str
    started: str
    phase: Phase = "build"
    sessions: int = 1
    seeds_at_once: int = 1
    place: int | None = None
    peak_memory: int = 0
    before: str = ""
    training: TrainingState = field(default_factory=TrainingState)
    evaluation: EvaluationState = field(default_factory=EvaluationState)

    @property
    def worked(self) -> float:
        """Seconds that its epochs and conditions took; reading data and building networks come on top."""
        return float(sum(epoch["seconds"] for epoch in self.training.history)) + self.evaluation.seconds

    def resumed(self) -> CellState:
        """This state in a further session; a clock that was set back since its start does not end before it began."""
        provenance.commit()
        return replace(self, sessions=self.sessions + 1, started=min(self.started, provenance.now()))


def start(cell: Cell) -> CellState:
    """The state of a cell of which nothing is done."""
    provenance.commit()  # asked before the network is imported, and again at the end: a change may be taken back
    return CellState(cell.digest, cell.machine, provenance.now())
