"""Runs the stored weights of a record on the data again and measures all that they determine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from gcnnbench.data.images import Images
from gcnnbench.determinism.float_noise import Shown, logits, tolerance
from gcnnbench.device import arithmetic, choose
from gcnnbench.errors import UserError
from gcnnbench.nn.groups import Element, group
from gcnnbench.probes import probing
from gcnnbench.record_checks.conditions import Conditions, NotCheckableError
from gcnnbench.record_checks.seed import Origin, origin
from gcnnbench.rewriting.folded import for_scoring
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import prepare_material
from gcnnbench.runs.measuring import Measured, equivariance_now, multiply_accumulates, trainable_parameters
from gcnnbench.scoring.conditions import by_upright_class, shown_moved
from gcnnbench.scoring.weights import load_weights


class MisfitError(Exception):
    """The weights are not those of the entry's network: names or shapes differ."""


@dataclass(frozen=True)
class Start:
    """What the initial network of a cell's seed says of its weights: whether they come from it, and its own errors."""

    origin: Origin
    equivariance: Measured


@dataclass(frozen=True)
class Scores:
    """What the weights of a cell give. Logits (images, classes) are by element, by angle, and on the validation images.

    `start` is null where the record is of an earlier version of the model: how that began is no longer here. `after` is
    measured on the weights; `tolerance` is what two float32 computations of one logit may differ by.
    """

    start: Start | None
    after: Measured
    parameters: int
    macs: int
    tolerance: float
    labels: Tensor
    elements: Mapping[str, Tensor]
    angles: Mapping[str, Tensor]
    validation: tuple[Tensor, Tensor] | None
    """Labels and logits."""
    probes: dict[str, Any] | None = None
    """What the benchmark has read from the network beside its scores."""


def score(cell: Cell, weights: Mapping[str, Tensor], conditions: Conditions, known_noise: float = 0.0) -> Scores:
    """Run stored weights.

    Args:
        cell: whose network, data and protocol are taken.
        weights: the trained weights by name.
        conditions: which logits are wanted.
        known_noise: what `doctor` found on this machine.

    Raises:
        NotCheckableError: the data is not here.
        MisfitError: the weights do not fit the network.
    """
    card, device = cell.card, choose(cell.device)
    with arithmetic(device, "fp32", cell.threads):
        try:
            material = prepare_material(cell, device)
        except UserError as error:
            raise NotCheckableError(str(error)) from None
        network, test, validation = material.network, material.test, material.validation
        start = _start(cell, network, test, weights)
        try:
            load_weights(network, dict(weights))
        except RuntimeError as error:
            raise MisfitError(str(error).splitlines()[-1].strip()) from None
        after = equivariance_now(network, test, card, cell.model)
        allowed = tolerance(network, test, cell.threads, known_noise)
        macs = multiply_accumulates(network, test.batch(slice(1)))
        probe = probing(card.evaluation, test)
        probes = probe(network) if probe else None
    elements = group(card.evaluation.group).elements
    angles = card.evaluation.curve.angles if conditions is Conditions.all else ()
    scoring = for_scoring(network)

    def scored(images: Images, shown: Shown) -> Tensor:
        return logits(scoring, shown, len(images), cell.threads)

    return Scores(
        start=start,
        after=after,
        parameters=trainable_parameters(network),
        macs=macs,
        tolerance=allowed,
        labels=test.labels.cpu(),
        elements={
            element.name: by_upright_class(scored(test, _moved(test, element)), card.evaluation, element)
            for element in (elements[:1] if conditions is Conditions.upright else elements)
        },
        angles={str(angle): scored(test, _rotated(test, angle, cell)) for angle in angles if angle},
        validation=(validation.labels.cpu(), scored(validation, validation.batch)) if validation else None,
        probes=probes,
    )


def _start(cell: Cell, network: nn.Module, test: Images, weights: Mapping[str, Tensor]) -> Start | None:
    card = cell.card
    if card.version_of(cell.model) != cell.model.model_version:
        return None
    return Start(origin(cell, weights, card.seeds), equivariance_now(network, test, card, cell.model))


def _moved(images: Images, element: Element) -> Shown:
    return lambda at: shown_moved(images.batch(at), element)


def _rotated(images: Images, angle: int, cell: Cell) -> Shown:
    return lambda at: images.rotated_batch(at, angle, cell.card.evaluation.curve.fill)
