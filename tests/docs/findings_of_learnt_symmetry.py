"""Sentences of the findings on learnt symmetry: every regret with its interval, and what the probes of degree read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from statistics import mean

from gcnnbench.formatting import probability
from gcnnbench.leaderboard.regret import Regret, family_records, regret_table
from gcnnbench.runs.record import Record
from gcnnbench.statistics import Difference, holm
from tests.docs.from_records import REGISTRY, RESULTS, ends, listed, upright

FAMILIES = ("degree-mnist", "degree-digits")


@cache
def family(name: str) -> dict[str, dict[str, list[Record]]]:
    """The records of a family of benchmarks by entry and condition."""
    return family_records(REGISTRY, RESULTS, name)


def of_learnt_symmetry() -> Iterator[str]:
    """The regrets of both families with their intervals, and what the probes of degree read."""
    mnist, digits = ({row.entry: row for row in regret_table(REGISTRY, RESULTS, name).rows} for name in FAMILIES)
    yield (
        f"around the circle, {behind(mnist['p4cnn@15'], 'circle')} points behind, and under quarter turns, "
        f"{behind(mnist['p4cnn@15'], 'quarter')}"
    )
    exact = mnist["p4cnn@16"]
    yield f"{behind(exact, 'halves')} points behind where the label tells"
    yield f"the pose (adjusted p = {probability(exact.p)})"
    yield f"{behind(exact, 'sector')} within ±45° and {behind(exact, 'upright')} upright"
    yield f"loses {behind(mnist['p4cnn-subsample@15'], 'halves')} points in *halves*"
    near = (mnist["relaxed-p4cnn@16"], mnist["likelihood-p4cnn@16"])
    yield f"worst cases of {' and '.join(behind(row, row.worst) for row in near)} points"
    yield f"in *halves* {' and '.join(behind(row, 'halves', -1) for row in near)} ahead"
    relaxed = digits["relaxed-p4cnn@12"]
    yield f"{behind(relaxed, 'quarter')} points behind the exact one under quarter turns and"
    yield f"{behind(relaxed, 'halves', -1)} ahead of the ordinary one"
    adjusted = {
        key: p
        for rows in (mnist, digits)
        for key, p in holm(
            {(row.entry, where): found.p for row in rows.values() for where, found in row.regrets.items()}
        ).items()
    }
    assert all((adjusted[row.entry, where] or 0) > 0.05 for row in (*near, relaxed) for where in row.regrets)
    assert all((adjusted["p4cnn@16", where] or 0) > 0.05 for where in ("sector", "upright"))
    pathways = (digits["rpp-p4cnn@12"], mnist["rpp-p4cnn@16"])
    first, second = (f"{behind(row, 'quarter')}" for row in pathways)
    yield f"loses {first} points to the exact one in `degree-digits` (adjusted p = {probability(pathways[0].p)})"
    yield f"{second} in `degree-mnist` ({probability(adjusted['rpp-p4cnn@16', 'quarter'])})"
    plain, projected = mnist["p4cnn-free@16"], mnist["projection-p4cnn@16"]
    yield f"worst case is {behind(projected, projected.worst)} points, its plain twin's {behind(plain, plain.worst)}"
    learnt = mnist["augerino-z2cnn@16"]
    told = [adjusted[learnt.entry, where] for where in ("circle", "quarter")]
    yield (
        f"{behind(learnt, 'circle')} and {behind(learnt, 'quarter')} points behind the best fixed one "
        f"(adjusted p = {listed(p or 0 for p in told)})"
    )
    yield from _of_probes()


def behind(row: Regret, condition: str, sign: int = 1) -> str:
    """A regret with its interval, in points; with the sign −1 what the entry is ahead by."""
    found = row.regrets[condition]
    assert found.interval is not None
    if sign < 0:
        found = Difference(-found.difference, (-found.interval[1], -found.interval[0]), found.p, found.df)
    return ends(found, 1, 100)


def outside(entry: str) -> Iterator[tuple[str, float]]:
    """The layers of an entry with the share of their filters that is not symmetric, over seeds, in every condition."""
    for name in FAMILIES:
        for one, conditions in family(name).items():
            for found in conditions.values() if one.startswith(entry) else ():
                degrees = [record.probes["degree"] for record in found if record.probes]
                yield from ((layer, mean(degree[layer]["outside"] for degree in degrees)) for layer in degrees[0])


def _of_probes() -> Iterator[str]:
    relaxed = list(outside("relaxed-p4cnn"))
    last = [share for layer, share in relaxed if layer == "conv7"]
    yield f"at most {max(share for layer, share in relaxed if layer != 'conv7'):.2f} on average up to `conv6`"
    yield f"{min(last):.2f} to {max(last):.2f} in `conv7`"
    yield f"at most {max(share for _, share in outside('rpp-p4cnn')):.2f} outside on average"
    projected = [share for _, share in outside("projection-p4cnn")]
    yield f"leaves {min(projected):.1f} to {max(projected):.1f} outside"
    widths = family(FAMILIES[0])["augerino-z2cnn@16"]
    upright_, sector, halves = (
        mean(record.probes["degree"]["network"]["width"] for record in widths[condition] if record.probes)
        for condition in ("upright", "sector", "halves")
    )
    yield f"{upright_:.2f} rad upright, {sector:.2f} within ±45°, {halves:.2f} in *halves*"
    ella = family(FAMILIES[0])["ella-p4cnn@16"]["halves"]
    yield f"one has {100 * min(upright(ella)):.1f} % in *halves*"
