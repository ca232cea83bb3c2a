"""Whether what model cards say about exactness holds; for `gcnnbench validate --audit`."""

from __future__ import annotations

from collections.abc import Iterator

from gcnnbench.cards.registry import Registry
from gcnnbench.cards.schema import ModelCard
from gcnnbench.equivariance.audit import SizeAudit, audit
from gcnnbench.equivariance.targets import model_target


def false_claims(registry: Registry, card: ModelCard) -> tuple[str, ...]:
    """Audit a model at every size that its card names, and say with the evidence what does not hold.

    Args:
        registry: knows the model's code.
        card: the model's card.

    Returns:
        One sentence for each claim that does not hold; none for a network that claims no symmetry.

    Raises:
        UserError: the model's code cannot be imported.
    """
    target = model_target(registry, card)
    sizes = (*card.exact_at, *card.approximate_at)
    if not sizes:
        return ()
    found = audit(target.make, sizes, target.group, channels=target.channels, name=card.name)
    return tuple(sentence for row in found.sizes for sentence in _wrong(card, row))


def _wrong(card: ModelCard, row: SizeAudit) -> Iterator[str]:
    claimed = "exact" if row.size in card.exact_at else "approximate"
    where = f"{card.name} at {row.size}"
    if row.disagreement:
        yield f"{where}: {row.reason}"
    elif row.decision != claimed:
        evidence = row.reason or f"error {row.error or 0:.1e} at the output, which is rounding"
        yield f"{where} stands in {claimed}_at, but the audit finds it {row.decision} under {card.group}: {evidence}"
