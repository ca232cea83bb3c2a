"""Grade *re-scored*: the stored weights on the data again, against everything in the record that they determine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isclose
from pathlib import Path
from typing import Literal

import safetensors.torch
from torch import Tensor, nn

from benchmark.data.images import Images
from benchmark.device import arithmetic, choose
from benchmark.equivariance.results import EquivarianceState, Exactness
from benchmark.errors import UserError
from benchmark.leaderboard.cells import count
from benchmark.nn.groups import Element, group
from benchmark.nn.inference import for_scoring
from benchmark.runs.cell import Cell
from benchmark.runs.files import blob, weights_path
from benchmark.runs.finish import Measured, equivariance_now, multiply_accumulates
from benchmark.runs.record import Record
from benchmark.runs.running import Material, load_weights, prepare_material
from benchmark.verification.deeper import Conditions, NotCheckableError, Outcome
from benchmark.verification.noise import Shown, choices, logits, one_hot, possible_orders, ties, tolerance, unexplained
from benchmark.verification.seed import origin

CLOSE, ZERO = 1e-6, 1e-9
"""Errors of equivariance are measured in float64: they repeat to a millionth, and below a thousand-millionth are 0."""


def rescore(
    cell: Cell, record: Record, path: Path, results: Path, conditions: Conditions, known_noise: float = 0.0
) -> Outcome:
    """Run the stored weights again.

    Always: the seed they come from, the equivariance errors and the exactness before and after training on the
    protocol's first test images, the validation accuracy of the tested epoch, parameters and MACs. Then the counts of
    the upright images, of all elements, or of the angles too, with the logits where the record's outputs are kept.

    Args:
        cell: the record's cell.
        record: a record whose weights are those that it names.
        path: its file.
        results: the results directory.
        conditions: which counts.
        known_noise: what `doctor` found on this machine.

    Raises:
        NotCheckableError: weights or data are not here.
    """
    stored = weights_path(path, results, record)
    if not stored.exists():
        raise NotCheckableError("its weights are kept outside git and are not here")
    weights = safetensors.torch.load(stored.read_bytes())
    device = choose(cell.device)
    with arithmetic(device, "fp32", cell.threads):
        try:
            material = prepare_material(cell, device)
        except UserError as error:
            raise NotCheckableError(str(error)) from None
        network, measured = material.network, record.equivariance
        before = equivariance_now(network, material.test, cell.card, cell.model)
        try:
            load_weights(network, weights)
        except RuntimeError as error:
            return Outcome((f"weights: they do not fit {record.entry}: {str(error).splitlines()[-1].strip()}",), ())
        after = equivariance_now(network, material.test, cell.card, cell.model)
        findings = [
            *_equivariance("before", measured.before, measured.exactness_before, before),
            *_equivariance("after", measured.after, measured.exactness_after, after),
            *_cost(record, network, material.test),
        ]
        allowed = tolerance(network, material.test, cell.threads, known_noise)
    checked = ["equivariance and exactness", "parameters", "MACs"]
    unchecked = []
    source = origin(cell, weights, max(cell.card.seeds, cell.registry.benchmarks[cell.benchmark].seeds))
    if source.told:
        checked.append("seed")
    elif source.other is not None:
        findings.append(f"weights: they were trained from the initial weights of seed {source.other}, not {cell.seed}")
    else:
        unchecked.append("seed (the weights keep no trace of their initial values)")
    if material.validation is not None:
        findings += _validation(record, network, material.validation, cell.threads, allowed)
        checked.append("validation accuracy")
    scored = _Scored(cell, record, network, material, allowed, _outputs(results, record))
    findings += scored.compare(conditions)
    logit = " with their logits" if scored.outputs else ""
    tied = f", {scored.tied} within float noise of a tie" if scored.tied else ""
    checked.append(f"{_told(scored.done)}: {count(len(material.test))} images{logit}{tied}")
    if scored.left:
        unchecked.append(_told(scored.left))
    return Outcome(tuple(findings), tuple(checked), tuple(unchecked))


class _Scored:
    """Conditions scored one after another, compared with the record's counts, and its outputs where they are here."""

    def __init__(
        self,
        cell: Cell,
        record: Record,
        network: nn.Module,
        material: Material,
        allowed: float,
        outputs: Mapping[str, Tensor],
    ) -> None:
        self.cell, self.record, self.images, self.allowed = cell, record, material.test, allowed
        self.outputs = outputs
        self.scoring = for_scoring(network)
        self.truth = one_hot(self.images.labels, len(record.counts.elements["upright"]))
        self.done: list[str] = []
        self.left: list[str] = []
        self.tied = 0

    def compare(self, conditions: Conditions) -> Iterator[str]:
        """Score the asked conditions; what is wrong with each, in words."""
        elements = group(self.cell.card.evaluation.group).elements
        curve = self.cell.card.evaluation.curve
        asked = elements[:1] if conditions is Conditions.upright else elements
        angles = curve.angles[1:] if conditions is Conditions.all else ()
        upright = None
        found = []
        for element in asked:
            choice, wrong = self._scored("elements", element.name, self._moved(element))
            yield from wrong
            found.append(choice)
            if upright is None:
                upright = choice
            elif off := unexplained(self.record.counts.flips[element.name], upright, choice):
                yield f"counts.flips.{element.name}: {off} pairs of classes are others by the stored weights"
        for angle in angles:
            choice, wrong = self._scored("angles", str(angle), self._rotated(angle))
            yield from wrong
            found.append(choice)
        self.tied = ties(found)
        self.done = [element.name for element in asked] + [f"{angle}°" for angle in angles]
        self.left = [element.name for element in elements[len(asked) :]]
        self.left += [f"{angle}°" for angle in curve.angles[1:]] if not angles else []

    def _moved(self, element: Element) -> Shown:
        return lambda at: element.act(self.images.batch(at))

    def _rotated(self, angle: int) -> Shown:
        return lambda at: self.images.rotated_batch(at, angle, self.cell.card.evaluation.curve.fill)

    def _scored(self, kind: Literal["elements", "angles"], key: str, shown: Shown) -> tuple[Tensor, list[str]]:
        """The choices of every image under one condition, and what is wrong with the record's."""
        found = logits(self.scoring, shown, len(self.images), self.cell.threads)
        choice = choices(found, self.allowed)
        wrong = []
        recorded = self.record.counts.elements if kind == "elements" else self.record.counts.angles
        if off := unexplained(recorded[key], self.truth, choice):
            wrong.append(f"counts.{kind}.{key}: {off} images are put elsewhere by the stored weights, ties apart")
        place = list(recorded).index(key)
        if key == "upright" and self.record.counts.ordered is not None:
            wrong += self._order(found)
        if self.outputs and kind == "elements":
            most = float((self.outputs["logits"][place] - found).abs().max())
            if most > self.allowed:
                wrong.append(f"outputs: logits {key} are {most:.1e} off, and float noise is below {self.allowed:.1e}")
        elif self.outputs:
            kept = self.outputs["angle_classes"][place].long()
            if other := int((~choice.gather(1, kept[:, None])).sum()):
                wrong.append(f"outputs: {other} classes at {key}° are others, ties apart")
        return choice, wrong

    def _order(self, found: Tensor) -> Iterator[str]:
        """The pairs that the AUC counts; those within float noise may go either way."""
        stated = self.record.counts.ordered
        least, most = possible_orders(found, self.images.labels, self.allowed)
        if stated is not None and not least <= stated.concordant <= stated.concordant + stated.tied <= most:
            yield f"counts.ordered: {stated.concordant} pairs concordant, but the stored weights give {least} to {most}"


def _outputs(results: Path, record: Record) -> Mapping[str, Tensor]:
    """The record's outputs where they are kept here; that they are those it names is checked before."""
    if record.outputs is None or not blob(results, record.outputs.sha256).exists():
        return {}
    return safetensors.torch.load(blob(results, record.outputs.sha256).read_bytes())


def _equivariance(when: str, stated: EquivarianceState, exact: Exactness | None, found: Measured) -> Iterator[str]:
    """Where the record's errors and its exactness are not those that are measured now."""
    place = f"equivariance.{when}"
    if stated.dtype != found.state.dtype:
        return  # measured on a device without float64: other numbers
    numbers = {"invariance_error": (stated.invariance_error, found.state.invariance_error)}
    numbers["flips"] = (stated.flips, found.state.flips)
    known = {depth.depth: depth for depth in stated.depths}
    if list(known) != [depth.depth for depth in found.state.depths]:
        yield f"{place}.depths: {', '.join(known)} are not those of the network"
        return
    for depth in found.state.depths:
        numbers[f"depths.{depth.depth}.paper"] = (known[depth.depth].paper, depth.paper)
        numbers[f"depths.{depth.depth}.relative"] = (known[depth.depth].relative, depth.relative)
    if exact is not None:
        numbers["exactness.error"] = (exact.error, found.exactness.error)
    for name, (then, now) in numbers.items():
        if not _same(then, now):
            yield f"{place}.{name}: {then}, but measured again it is {now}"
    if exact is not None:
        for field in ("grid", "certificate", "decision", "first_break", "nearest_exact_sizes"):
            then, now = getattr(exact, field), getattr(found.exactness, field)
            if then != now:
                yield f"equivariance.exactness_{when}.{field}: {then}, but judged again it is {now}"


def _same(then: float | None, now: float | None) -> bool:
    if then is None or now is None:
        return then is now
    return isclose(then, now, rel_tol=CLOSE, abs_tol=ZERO)


def _cost(record: Record, network: nn.Module, test: Images) -> Iterator[str]:
    parameters = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    if record.cost.parameters != parameters:
        yield f"cost.parameters: {record.cost.parameters}, but the network has {parameters}"
    macs = multiply_accumulates(network, test.batch(slice(1)))
    if record.cost.macs != macs:
        yield f"cost.macs: {record.cost.macs}, but one image takes {macs}"


def _validation(record: Record, network: nn.Module, images: Images, threads: int, allowed: float) -> Iterator[str]:
    """The validation accuracy of the tested epoch is the tested weights' on this seed's validation images."""
    found = logits(for_scoring(network), images.batch, len(images), threads)
    choice, truth = choices(found, allowed), one_hot(images.labels, found.shape[1])
    possible = (choice & truth).any(1)
    certain = possible & (choice.sum(1) == 1)
    stated = record.training.history[record.training.tested_epoch - 1].validation_accuracy or 0.0
    right = stated * len(images)
    if not int(certain.sum()) - 0.5 < right < int(possible.sum()) + 0.5:
        yield (
            f"training.history: validation accuracy {stated} in the tested epoch, but the stored weights reach "
            f"{int(certain.sum()) / len(images)} on the validation images of seed {record.seed}"
        )


def _told(conditions: list[str]) -> str:
    """Conditions in a few words: elements by name, angles by their number."""
    angles = [name for name in conditions if name.endswith("°")]
    named = [name for name in conditions if name not in angles]
    return ", ".join([*named, *([f"{len(angles)} angles of the curve"] if angles else [])])
