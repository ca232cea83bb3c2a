"""Whether what model cards say about exactness holds; for `gcnnbench validate --audit`."""

from __future__ import annotations

from collections.abc import Iterator

from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cards.registry import Registry
from gcnnbench.equivariance.audit import audit
from gcnnbench.equivariance.learnt import LearntSymmetry, learnt_symmetry
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.equivariance.size_audit import SizeAudit
from gcnnbench.equivariance.targets import Target, model_target
from gcnnbench.errors import UserError

IMAGES = 8
"""Images on which a learnt symmetry is judged."""


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
    learnt = tuple(sentence for size in card.learnt_at for sentence in _wrongly_learnt(card, target, size))
    sizes = (*card.exact_at, *card.approximate_at)
    if not sizes:
        return learnt
    found = audit(target.make, sizes, target.group, channels=target.channels, name=card.name)
    return (*(sentence for row in found.sizes for sentence in _wrong(card, row)), *learnt)


def _wrongly_learnt(card: ModelCard, target: Target, size: int) -> Iterator[str]:
    """What is wrong with a network that stands in learnt_at: it must be exact at its symmetric point, and free."""
    try:
        wrong = claimed_learnt(target, size).wrong(target.group)
    except UserError as error:
        wrong = str(error)
    if wrong is not None:
        yield f"{card.name} at {size} stands in learnt_at, but {wrong}"


def claimed_learnt(target: Target, size: int) -> LearntSymmetry:
    """The three statements about a registered model, on its card's channels.

    Raises:
        UserError: no module says what its symmetric point is.
    """
    assert target.channels is not None, "a registered model's card has them"
    return learnt_symmetry(target.make(size), sample_images(IMAGES, target.channels, size), target.group)


def _wrong(card: ModelCard, row: SizeAudit) -> Iterator[str]:
    claimed = "exact" if row.size in card.exact_at else "approximate"
    where = f"{card.name} at {row.size}"
    if row.disagreement:
        yield f"{where}: {row.reason}"
    elif row.decision != claimed:
        evidence = row.reason or f"error {row.error or 0:.1e} at the output, which is rounding"
        yield f"{where} stands in {claimed}_at, but the audit finds it {row.decision} under {card.group}: {evidence}"
