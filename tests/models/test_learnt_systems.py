"""Each system of learnt symmetry is shown, audited, trained, resumed to the bit, refused where its card is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gcnnbench.cards.recipe import RoleRates, TrainingPhase
from gcnnbench.cards.registry import Registry
from gcnnbench.cli.app import build_app
from gcnnbench.equivariance.claims import false_claims
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import run_cell
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.state import start
from gcnnbench.runs.store import Store
from tests import checkpoint_files

TINY = Path(__file__).parents[1] / "runs" / "tiny.yaml"
SYSTEMS = {
    "augerino-z2cnn": "network",
    "ella-p4cnn": "network",
    "likelihood-p4cnn": "conv7",
    "rpp-p4cnn": "conv7",
    "relaxed-p4cnn": "conv7",
    "projection-p4cnn": "conv7",
}
"""Each with a module whose reading the probe `degree` must have."""


@pytest.fixture(scope="module")
def registry() -> Registry:
    """The tiny benchmark in the manner of `degree-*`, with narrow networks; priors are learnt after every epoch."""
    registry = Registry.load([TINY])
    tiny = registry.benchmark("tiny")
    shares = {"train": 192, "validation": 16, "test": 32}
    split = tiny.split.model_copy(
        update={name: getattr(tiny.split, name).model_copy(update={"images": n}) for name, n in shares.items()}
    )
    phase = TrainingPhase(roles={"degree": RoleRates(learning_rate=0.05, weight_decay=0.0)})
    recipe = tiny.recipe.model_copy(update={"phases": (phase,), "tested_model": "last"})
    evaluation = tiny.evaluation.model_copy(update={"probes": ("degree",), "equivariance_images": 4})
    card = tiny.model_copy(
        update={
            "entries": tuple(f"{name}@8" for name in SYSTEMS),
            "split": split,
            "recipe": recipe,
            "evaluation": evaluation,
        }
    )
    models = dict(registry.models)
    for name in SYSTEMS:
        model = models[name]
        narrow = {"planes": 8, "dropout": 0.0}
        settling = {"burn_in": 1, "every": 1, "outputs": 40} if name == "ella-p4cnn" else {}
        models[name] = model.model_copy(update={"hyperparameters": {**model.hyperparameters, **narrow, **settling}})
    return replace(registry, benchmarks={**registry.benchmarks, "tiny": card}, models=models)


@pytest.mark.parametrize("name", SYSTEMS)
def test_it_trains_and_is_resumed_with_the_same_bits(registry: Registry, name: str, tmp_path: Path) -> None:
    """Left after its second epoch, through a checkpoint on disk."""
    cell, store = Cell(registry, "tiny", f"{name}@8", 0, "cpu", 1, tmp_path / "data"), Store(tmp_path / "results")
    state = start(cell)
    running = run_cell(cell, state)
    next(here for here in running if state.training.epochs_done == 2)
    checkpoint_files.save(store, cell, state)
    *_, last = running
    assert isinstance(last, Finished)
    resumed, why = checkpoint_files.load(store, cell)
    assert resumed is not None, why
    assert resumed.training.epochs_done == 2
    *_, again = run_cell(cell, resumed)
    assert isinstance(again, Finished)
    assert (again.weights, again.outputs) == (last.weights, last.outputs)
    assert again.record.probes == last.record.probes
    assert [epoch.probes for epoch in again.record.training.history] == [
        epoch.probes for epoch in last.record.training.history
    ]
    assert last.record.probes is not None
    assert SYSTEMS[name] in last.record.probes["degree"]


@pytest.mark.parametrize("name", SYSTEMS)
def test_it_is_shown_with_its_claim(name: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(build_app(), ["show", name, "--results", str(tmp_path)])
    assert done.exit_code == 0, done.exception
    (claim,) = [line for line in done.stdout.splitlines() if "learnt at" in line]
    assert "12" in claim


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_card_that_claims_what_it_is_not_is_refused_by_name(name: str) -> None:
    registry = Registry.load()
    card = registry.model(name)
    (exact,) = false_claims(registry, card.model_copy(update={"exact_at": (12,), "learnt_at": ()}))
    assert exact.startswith(f"{name} at 12 stands in exact_at, but the audit finds it approximate under p4")


def test_an_audit_tells_form_freedom_and_the_network_as_it_is() -> None:
    done = CliRunner().invoke(build_app(), ["audit", "relaxed-p4cnn@12"])
    assert done.exit_code == 0, done.exception
    told = "learnt at 12: at the symmetric point that its layers declare exact, with weights drawn anew approximate ("
    assert told in done.stdout
    assert "as given exact" in done.stdout
