"""What a benchmark reads from a network beside its scores is kept of submitted networks too, and read again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from safetensors.torch import load

from gcnnbench.cards.registry import Registry
from gcnnbench.record_checks.retraining import different
from gcnnbench.record_checks.weights_only import weights_only_findings
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.measuring import Measured, Measurements
from gcnnbench.runs.record import Record, sealed
from gcnnbench.runs.self_checks import self_findings
from gcnnbench.runs.weights_only import WeightsOnly, weights_only_path
from gcnnbench.scoring.metrics import Counts, Ordered
from gcnnbench.submissions import cell_jobs
from gcnnbench.submissions.bundle_records import Stated
from gcnnbench.submissions.folder import read_submission
from gcnnbench.submissions.sandbox import Code
from gcnnbench.submissions.submitting import _keep, cells_of
from gcnnbench.submissions.trial import try_cell
from gcnnbench.submissions.verifying import _other_measurements
from gcnnbench.submissions.weights_only import ScoredWeights, score_weights
from tests.submissions.contained import uncontained

LEARNT, CHANGED = "relaxed-p4cnn", "degree.conv1.outside"


@dataclass(frozen=True)
class Tried:
    """A network whose symmetry is learnt, entered in a benchmark that reads how much it has."""

    cell: Cell
    code: Code
    record: Record
    scored: ScoredWeights


def brought(cell: Cell) -> Cell:
    """The cell of a network that came trained."""
    registry, name = cell.registry, cell.model.name
    card = cell.model.model_copy(update={"trained_on": "these digits"})
    return replace(cell, registry=replace(registry, models={**registry.models, name: card}))


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    """Seed 0, trained on few images, and its weights brought as somebody's own."""
    folder = tmp_path_factory.mktemp("probed") / "my-relaxed"
    shutil.copytree(Registry.load().folder("model", LEARNT), folder, ignore=shutil.ignore_patterns("__pycache__"))
    card = folder / "model.yaml"
    text = card.read_text("utf-8").replace(f"name: {LEARNT}", "name: my-relaxed")
    text = text.replace("planes: 10", "planes: 4").replace("size: 12, count: 49356}", "size: 12, count: 2, macs: 2}")
    card.write_text(f"{text}enters:\n  - {{benchmark: degree-digits-quarter, sizes: [12]}}\n", "utf-8")
    submission = read_submission(folder)
    cell = replace(cells_of(submission, folder.parent / "data")[0], limit=64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cell_jobs, "run_isolated", uncontained(folder.parent))
        made = try_cell(cell, submission.code, trust=False)
        scored = score_weights(brought(cell), submission.code, load(made.weights), trust=False)
    return Tried(cell, submission.code, made.record, scored)


def test_a_submission_to_a_benchmark_of_degrees_contradicts_nothing(tried: Tried) -> None:
    assert tried.record.probes is not None
    assert set(tried.record.probes["degree"]) >= {"conv1", "conv7"}
    assert self_findings(tried.record) == []
    last = tried.record.training.history[-1].probes
    assert last == tried.record.probes, "read from the same weights"


def outside(record: Record, change: float) -> Record:
    """The record with another deviation of its first bank from symmetry."""
    assert record.probes is not None
    degree = record.probes["degree"]
    first = degree["conv1"] | {"outside": degree["conv1"]["outside"] + change}
    return sealed(record.model_copy(update={"probes": {"degree": degree | {"conv1": first}}}))


@pytest.mark.parametrize("change", [0.0, 1e-3])
def test_a_reading_that_the_weights_do_not_give_is_found(tried: Tried, change: float) -> None:
    record, measured = outside(tried.record, change), tried.record.equivariance
    exactness = measured.exactness_after
    assert exactness is not None
    cost = record.cost
    stated = Stated(
        place=Path("seed-0.json"),
        counts=record.counts,
        parameters=cost.parameters,
        macs=cost.macs,
        after=measured.after,
        exactness=exactness,
        probes=record.probes,
        outputs=None,
        weights=Path("seed-0.safetensors"),
    )
    after = Measured(state=measured.after, exactness=exactness)
    now = Measurements(after, cost.parameters, cost.macs, tried.record.probes)
    found = list(_other_measurements(stated, now))
    assert [one.partition(": ")[0] for one in found] == ([f"probes.{CHANGED}"] if change else [])
    retrained = list(different(record, tried.record))
    assert retrained == (["probes: not the recorded readings"] if change else [])


def test_weights_that_came_trained_keep_what_is_read_from_them(tried: Tried, tmp_path: Path) -> None:
    score = tried.scored.score
    assert score.probes == tried.record.probes
    _keep(tmp_path, tried.scored)
    registry = tried.cell.registry
    few = "counts: 64 test images, but the protocol has 400"
    assert [found for _, found in weights_only_findings(registry, tmp_path)] == [few]
    path = weights_only_path(tmp_path, score.benchmark, score.entry)
    without: WeightsOnly = score.model_copy(update={"probes": None})
    path.write_text(without.model_dump_json(), "utf-8")
    found = [found for _, found in weights_only_findings(registry, tmp_path)]
    assert found == [few, "probes: nothing, but the protocol asks for degree"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda counts: counts.angles.popitem(), "counts.angles: not every"),
        (lambda counts: (counts.elements.popitem(), counts.flips.popitem()), "counts.elements: "),
    ],
)
def test_conditions_that_weights_which_came_trained_were_not_scored_under_are_found(
    tried: Tried, tmp_path: Path, change: Callable[[Counts], object], what: str
) -> None:
    score = tried.scored.score.model_copy(deep=True)
    change(score.counts)
    _keep(tmp_path, replace(tried.scored, score=score))
    assert any(wrong.startswith(what) for _, wrong in weights_only_findings(tried.cell.registry, tmp_path))


def test_an_order_of_scores_that_the_protocol_does_not_ask_for_is_found(tried: Tried, tmp_path: Path) -> None:
    score = tried.scored.score
    counts = score.counts.model_copy(update={"ordered": Ordered(concordant=1, tied=0)})
    _keep(tmp_path, replace(tried.scored, score=score.model_copy(update={"counts": counts})))
    found = [wrong for _, wrong in weights_only_findings(tried.cell.registry, tmp_path)]
    assert any(wrong.startswith("counts.ordered") for wrong in found)
