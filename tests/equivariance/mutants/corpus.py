"""All mutants, by kind, the same in every call: each change in one or two networks that it fits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from tests.equivariance.mutants.grouped import banks, grouped_changes
from tests.equivariance.mutants.mutant import Change, Mutant, judged
from tests.equivariance.mutants.networks import ANY, REGULAR, SCALAR, Base
from tests.equivariance.mutants.scalar import SCALAR_CHANGES
from tests.equivariance.mutants.spatial import SPATIAL
from tests.equivariance.mutants.whole import WHOLE_CHANGES, entries, frames

NO_ANSWER = "no answer"


def corpus() -> list[Mutant]:
    """Every mutant."""
    return [*_mutants()]


def _mutants() -> Iterator[Mutant]:
    for kinds, bases in ((SPATIAL | WHOLE_CHANGES, ANY), (SCALAR_CHANGES, SCALAR)):
        for kind, changes in kinds.items():
            for place, change in enumerate(changes()):
                yield from _changed(kind, change, bases[place % len(bases)])
    for base in REGULAR:
        for kind, changed in grouped_changes(base).items():
            for change in changed:
                yield from _changed(kind, change, base)
    yield from banks()
    yield from frames()
    yield from entries()


def _changed(kind: str, change: Change, base: Base) -> Iterable[Mutant]:
    moves = None if change.moves is None else change.moves & base.moves
    make = partial(base.changed, lambda: {change.place: change.make(base.channels, change.size)})
    found = judged(kind, f"{base.name}: {change.name}", make, change.size, moves, base.group)
    return (replace(mutant, answerable=kind != NO_ANSWER) for mutant in found)
