"""Re-scores and re-trains records; says of each what was checked, and what could not be and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors.torch import load

from gcnnbench.cards.registry import Registry
from gcnnbench.determinism.audit import known_noise
from gcnnbench.device import choose
from gcnnbench.errors import UserError
from gcnnbench.foreign_code import REFUSALS
from gcnnbench.plain_files import read_plain
from gcnnbench.record_checks.comparing import compare
from gcnnbench.record_checks.conditions import Conditions, NotCheckableError, Outcome, cell_of
from gcnnbench.record_checks.rescoring import MisfitError, score
from gcnnbench.record_checks.retraining import retrain
from gcnnbench.record_checks.rows import Grade, RecordRow
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.files import OUTPUTS_BYTES, WEIGHTS_BYTES, File, blob, read_files, weights_path
from gcnnbench.runs.outcomes import said_of_network
from gcnnbench.runs.record import Record


@dataclass(frozen=True)
class Grading:
    """Re-scores records, and trains those of one seed again.

    Args:
        registry: the cards.
        results: the results directory.
        data: the data directory.
        conditions: what is scored again; nothing where None.
        seed: the seed that is trained again; none where None.
        device: where; the record's own, or the CPU where that is not here, if None.
        tell: told of each record before it is worked on.
    """

    registry: Registry
    results: Path
    data: Path
    conditions: Conditions | None
    seed: int | None
    device: str | None
    tell: Callable[[str], None]

    def __call__(self, row: RecordRow, file: File, record: Record) -> RecordRow:
        """The row after what was asked for: with a higher grade, refused, or as it was with the reason why."""
        if self.conditions is not None:
            row = self._tried(row, "re-scored", file, record)
        if self.seed == record.seed and file.kind == "seed":
            row = self._tried(row, "re-trained", file, record)
        return row

    def _tried(self, row: RecordRow, grade: Grade, file: File, record: Record) -> RecordRow:
        self.tell(f"{file.place} is being {grade}")
        try:
            outcome = self._outcome(grade, file, record)
        except NotCheckableError as reason:
            return replace(row, unchecked=(*row.unchecked, f"not {grade}: {reason}"))
        except UserError:
            raise
        except REFUSALS as error:
            outcome = Outcome((f"not {grade}, as the network's code fails: {said_of_network(error)}",), ())
        findings = row.findings + outcome.findings
        return replace(
            row,
            grade="refused" if findings else "undecided" if outcome.undecided else grade,
            findings=findings,
            checked=row.checked + outcome.checked,
            unchecked=row.unchecked + outcome.unchecked + outcome.undecided,
        )

    def _outcome(self, grade: Grade, file: File, record: Record) -> Outcome:
        device = self.device or _here(record.provenance.device)
        cell = cell_of(self.registry, record, device, self.data)
        if grade == "re-trained":
            return retrain(cell, record, self._others(record))
        return self._rescored(cell, file, record)

    def _rescored(self, cell: Cell, file: File, record: Record) -> Outcome:
        weights = weights_path(self.results / file.place, self.results, record)
        if not weights.exists():
            raise NotCheckableError("its weights are kept outside git and are not here")
        noise = known_noise(self.results, cell.device)
        try:
            scores = score(cell, load(read_plain(weights, WEIGHTS_BYTES)), self.conditions or Conditions.upright, noise)
        except MisfitError as error:
            return Outcome((f"weights: they do not fit {record.entry}: {error}",), ())
        outputs = blob(self.results, record.outputs.sha256) if record.outputs else None
        here = outputs is not None and outputs.exists()
        return compare(record, scores, load(read_plain(outputs, OUTPUTS_BYTES)) if outputs and here else {})

    def _others(self, record: Record) -> list[Record]:
        """The records of the other seeds of this entry under the same protocol."""
        return [
            file.content
            for file in read_files(self.results)
            if isinstance(file.content, Record)
            and file.kind == "seed"
            and (file.content.benchmark, file.content.entry) == (record.benchmark, record.entry)
            and file.content.seed != record.seed
            and file.content.spec_digest == record.spec_digest
        ]


def _here(device: str) -> str:
    try:
        return choose(device).type
    except UserError:
        return "cpu"
