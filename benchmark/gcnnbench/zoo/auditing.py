"""The audit of the zoo: what each network claims at the sizes of its source, beside what is found there."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gcnnbench.equivariance import wording
from gcnnbench.equivariance.audit import Audit, audit
from gcnnbench.equivariance.factories import Factory
from gcnnbench.equivariance.macs import macs
from gcnnbench.equivariance.repairs import repairs
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.equivariance.size_audit import SizeAudit
from gcnnbench.equivariance.targets import importable
from gcnnbench.equivariance.wording import Words
from gcnnbench.foreign_code import REFUSALS, said
from gcnnbench.nn.groups import group as group_of
from gcnnbench.zoo.building import Found, NotHereError, find, target
from gcnnbench.zoo.cards import ZooCard, ZooNetwork

REPAIRED_MACS = 200_000_000
"""Above so many multiply-accumulates an image, sizes are the only repair that is tried."""

Verdict = Words | Literal["not exact", "not here"]
"""The words of an audit; a network that claims nothing reads *not exact*, whatever the reason."""

EXACT: tuple[Verdict, ...] = ("exact", "not proved; measured exact")
DECIDED: tuple[Verdict, ...] = (*EXACT, "approximate", "not equivariant", "broken at every size", "not exact")


@dataclass(frozen=True)
class ZooRow:
    """One network at one size.

    Args:
        card: of its code base.
        network: it.
        size: height and width of the input.
        verdict: what is found.
        first_break: the first layer that breaks the symmetry.
        error: at the output, the largest of both states.
        repair: what makes it exact at this size or near it, measured.
        reason: why it is not here, cannot take the size, or could not be judged.
    """

    card: ZooCard
    network: ZooNetwork
    size: int
    verdict: Verdict
    first_break: str | None = None
    error: float | None = None
    repair: str | None = None
    reason: str | None = None

    @property
    def holds(self) -> bool | None:
        """Whether a claim of equivariance holds; None where nothing was claimed or decided."""
        if self.network.claims != "equivariant" or self.verdict not in DECIDED:
            return None
        return self.verdict in EXACT


def audit_zoo(
    cards: Sequence[ZooCard], checkouts: Path | None = None, tell: Callable[[ZooRow], None] = lambda _: None
) -> list[ZooRow]:
    """Audit every network at every size; none is passed over in silence.

    Args:
        cards: of the zoo.
        checkouts: a folder with clones of repositories that are no packages.
        tell: called with each row as it is done.
    """
    rows = []
    for card in cards:
        for network in card.networks:
            for row in _rows(card, network, checkouts):
                tell(row)
                rows.append(row)
    return rows


def _rows(card: ZooCard, network: ZooNetwork, checkouts: Path | None) -> Iterator[ZooRow]:
    try:
        found = find(card, checkouts)
    except NotHereError as error:
        for size in network.sizes:
            yield ZooRow(card, network, size, "not here", reason=str(error))
        return
    try:
        with warnings.catch_warnings(), importable(found.folder):
            warnings.simplefilter("ignore")  # of other people's code
            yield from _audited(card, network, found)
    except REFUSALS as error:
        for size in network.sizes:
            yield ZooRow(card, network, size, "unknown", reason=said(error))


def _audited(card: ZooCard, network: ZooNetwork, found: Found) -> list[ZooRow]:
    aim, group = target(network, found), group_of(network.judged)
    make, channels = aim.make, aim.channels or network.channels
    done = audit(make, network.sizes, group, channels=channels, name=network.name)
    rows = []
    for row in done.sizes:
        plain = network.claims == "nothing" and row.decision == "approximate" and not row.disagreement
        words: Verdict = "not exact" if plain else wording.words(done, row)
        rows.append(
            ZooRow(
                card,
                network,
                row.size,
                words,
                first_break=row.first_break,
                error=row.error,
                repair=_repair(make, row, done) if words == "approximate" else None,
                reason=row.reason if words not in DECIDED else None,
            )
        )
    return rows


def _repair(make: Factory, row: SizeAudit, done: Audit) -> str | None:
    """The nearest size known to be exact, and the cheapest change at this one where the network is small."""
    sizes = sorted(done.nearby.exact_sizes, key=lambda size: (abs(size - row.size), size))
    found = [f"{sizes[0]} pixels"] if sizes else []
    image = sample_images(1, done.channels, row.size)
    if macs(make(row.size), image) <= REPAIRED_MACS:
        changes = repairs(make, row, done.acting_group, done.channels)
        if changes:
            found.append(min(changes, key=lambda change: change.macs).what)
    return "; or ".join(found) or None
