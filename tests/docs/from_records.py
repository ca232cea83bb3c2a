"""Reads the committed records for the sentences of the findings that no command prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from gcnnbench.cards.registry import Registry
from gcnnbench.claims.claims import CurveClaim
from gcnnbench.claims.reading import read_claims
from gcnnbench.formatting import interval, points
from gcnnbench.leaderboard.records import all_records, counted
from gcnnbench.runs.record import Record
from gcnnbench.scoring.metrics import angle_accuracies
from gcnnbench.statistics import Difference, Summary, summary, welch

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"
REGISTRY = Registry.load()
TURNS = (0, 90, 180, 270)


@cache
def records(benchmark: str) -> Mapping[str, list[Record]]:
    """The records of a benchmark, `name@version`, that tables count, by entry."""
    card = REGISTRY.versions()[benchmark]
    found = counted(all_records(REGISTRY, RESULTS, [card])[benchmark])
    return {entry: [one.record for one in here] for entry, here in found.items()}


@cache
def studied(study: str, entry: str) -> list[Record]:
    """The records of a study beside the docs."""
    files = sorted((ROOT / "docs/studies/results" / study / entry).glob("seed-*.json"))
    return [Record.model_validate_json(file.read_bytes()) for file in files]


def published(claim: str) -> CurveClaim:
    """A published curve, by its name."""
    (found,) = (one for card in read_claims(REGISTRY) for one in card.claims if one.id == claim)
    assert isinstance(found, CurveClaim)
    return found


def upright(found: Iterable[Record]) -> list[float]:
    """The accuracies upright, as shares."""
    return [record.metrics["accuracy.upright"] or 0.0 for record in found]


def running(found: Iterable[Record], epoch: int) -> list[float]:
    """The running training accuracies of an epoch, as shares."""
    return [one.train_accuracy for record in found for one in record.training.history if one.epoch == epoch]


def curves(found: Iterable[Record]) -> list[Mapping[int, float]]:
    """The accuracies over the angles, as shares."""
    return [angle_accuracies(record.counts) for record in found]


def networks(benchmark: str, metric: str) -> tuple[Summary, Summary]:
    """The exact P4CNN and the ordinary network of a benchmark, as shares."""
    runs = records(benchmark)
    exact, ordinary = (
        summary([record.metrics[metric] or 0.0 for record in runs[entry]]) for entry in ("p4cnn@28", "z2cnn@28")
    )
    return exact, ordinary


def ahead(benchmark: str, metric: str) -> str:
    """By how much the exact one is ahead, with its interval."""
    test = welch(*networks(benchmark, metric))
    return f"{points(test.difference)} {interval(test.interval)}"


def errors(found: Iterable[Record], state: str) -> list[float]:
    """The invariance errors before or after training."""
    every = [getattr(record.equivariance, state).invariance_error for record in found]
    return [error for error in every if error is not None]


def growth(found: list[Record]) -> list[float]:
    """How much the invariance error grew in each run."""
    return [after - before for before, after in zip(errors(found, "before"), errors(found, "after"), strict=True)]


def listed(values: Iterable[float], decimals: int = 2) -> str:
    """The values as a sentence lists them."""
    return " and ".join(f"{value:.{decimals}f}" for value in values)


def ends(test: Difference, decimals: int = 2, factor: float = 1) -> str:
    """A difference with its interval, in the unit of the values."""
    assert test.interval is not None
    text = f"{factor * test.difference:.{decimals}f} [{factor * test.interval[0]:.{decimals}f}, "
    return (text + f"{factor * test.interval[1]:.{decimals}f}]").replace("-", "−")
