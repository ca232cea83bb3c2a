"""The sag of the exact network's curve under uniform training: the rule of the cards `uniform-sag-*`, applied.

    python docs/studies/uniform_sag.py

An arm is ruled out where its sag differs from that of the official runs with p < 0.01, by Student's t-test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import typer

from gcnnbench.cards.registry import Registry
from gcnnbench.claims.claims import FOLDER, CurveClaim
from gcnnbench.claims.reading import read_claims
from gcnnbench.claims.single_runs import published_runs
from gcnnbench.formatting import percent, probability
from gcnnbench.layout import pipes
from gcnnbench.leaderboard.records import all_records, counted
from gcnnbench.scoring.metrics import angle_accuracies
from gcnnbench.statistics import Summary, pooled, summary

HERE = Path(__file__).resolve().parent
LEVEL = 0.01
ENTRY = "p4cnn@28"
ARMS = {
    "black, as assumed": ("mnist-uniform@2", HERE.parents[1] / "results"),
    "digits enlarged to 48 pixels": ("uniform-sag-enlarged@1", HERE / "results"),
    "no normalisation": ("uniform-sag-unnormalised@1", HERE / "results"),
}
"""What each arm is called: its benchmark, and where the records are."""


def sag(curve: Mapping[int, float], turns: Sequence[int] = (0,)) -> float:
    """The mean accuracy at quarter turns less that in the middle between them, 40° and 50° on."""
    return mean(curve[turn] - (curve[turn + 40] + curve[turn + 50]) / 2 for turn in turns)


def official() -> Summary:
    """The sag of the official runs, as a share."""
    (curve,) = (one for card in read_claims(Registry.load()) for one in card.claims if one.id == "uniform-p4-28-curve")
    assert isinstance(curve, CurveClaim)
    runs = published_runs(FOLDER / "edixhoven2023.yaml", curve)
    assert runs is not None
    return summary([sag(dict(zip(curve.at, run, strict=True))) for run in runs.tolist()])


def arms() -> dict[str, Summary]:
    """The sag of the arms that have records, as a share."""
    registry = Registry.load([HERE / f"uniform-sag-{name}.yaml" for name in ("enlarged", "unnormalised")])
    found = {}
    for name, (benchmark, results) in ARMS.items():
        records = counted(all_records(registry, results, [registry.versions()[benchmark]])[benchmark])
        sags = [sag(angle_accuracies(one.record.counts)) for one in records.get(ENTRY, [])]
        if sags:
            found[name] = summary(sags)
    return found


def ruled_out(ours: Summary) -> bool:
    """Whether the rule rules an arm out."""
    p = pooled(ours, official()).p
    return p is not None and p < LEVEL


if __name__ == "__main__":
    rows = [["official", percent(official()), str(official().n), "", ""]]
    for name, ours in arms().items():
        p = probability(pooled(ours, official()).p)
        rows.append([name, percent(ours), str(ours.n), p, "ruled out" if ruled_out(ours) else "not ruled out"])
    typer.echo(pipes((["arm", "sag, points", "n", "p", f"at {LEVEL}"], rows, "lrrrl")))
