"""What in one record contradicts itself or its own protocol: checked from the record alone, without data or weights.

Cheap, so that every table makes these checks of every record that it shows; `verify records` adds those that need the
registry, the weights, or a network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil, isclose
from typing import Any

from gcnnbench.cards.elements import ELEMENTS
from gcnnbench.equivariance.results import relaxation
from gcnnbench.formatting import how_many
from gcnnbench.outside_text import as_line
from gcnnbench.runs.provenance import EARLIEST
from gcnnbench.runs.record import Record, checksum
from gcnnbench.runs.spec import spec_digest
from gcnnbench.scoring.metrics import Counts, differences, images, inconsistencies, metrics

CLOCKS = timedelta(days=1)
"""By how much another machine's clock may be ahead of ours."""


def self_findings(record: Record) -> list[str]:
    """What contradicts itself, in words; empty where nothing does."""
    return [finding for check in CHECKS for finding in guarded(check, record)]


def guarded(check: Callable[[Record], Iterator[str]], record: Record) -> Iterator[str]:
    """The findings of a check; a spec or counts in which it cannot find its way are a finding, too."""
    try:
        yield from check(record)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as error:
        told = as_line(f"{type(error).__name__}: {error}", 200)
        yield f"spec or counts: not what a record of this form holds ({told})"


def _checksum(record: Record) -> Iterator[str]:
    if record.checksum is not None and record.checksum != checksum(record):
        yield "checksum: not that of the record's content, so something in it was changed after it was made"


def _spec(record: Record) -> Iterator[str]:
    if spec_digest(record.spec) != record.spec_digest:
        yield "spec: it does not have the digest that the record states, so protocol or digest was edited"
    if record.spec.get("entry") != record.entry:
        yield f"spec.entry: {record.spec.get('entry')}, but the record is of {record.entry}"
    if record.official == (record.unofficial_because is not None):
        yield "official: a record is official, or says in unofficial_because why it is not"


def _counts(record: Record) -> Iterator[str]:
    yield from inconsistencies(record.counts)


def _metrics(record: Record) -> Iterator[str]:
    seen: Sequence[str] = record.spec["evaluation"]["seen"]
    error = record.equivariance.after.invariance_error
    made = metrics(record.counts, seen, invariance_error=error)
    yield from other_metrics(record.metrics, made)


def other_metrics(stated: Mapping[str, float | None], made: Mapping[str, float | None]) -> Iterator[str]:
    """Where metrics are not those that are made of the counts, and the accuracies that they lack."""
    yield from differences(stated, made)
    if lacking := sorted(name for name in made if name not in stated and name.startswith("accuracy.")):
        yield f"metrics: {', '.join(lacking)} missing"


def _conditions(record: Record) -> Iterator[str]:
    yield from other_conditions(record.spec, record.counts, whole=record.official)


def other_conditions(spec: Mapping[str, Any], counts: Counts, *, whole: bool) -> Iterator[str]:
    """Where the group's elements, the curve's angles, classes, images or the AUC's order are not those of a protocol.

    Args:
        spec: the protocol, or what of it weights follow that came trained.
        counts: what was counted.
        whole: whether all test images that the protocol names were to be scored.
    """
    protocol = spec["evaluation"]
    if set(counts.elements) != set(ELEMENTS[protocol["group"]]):
        yield f"counts.elements: {', '.join(counts.elements)} are not the elements of {protocol['group']}"
    if {int(angle) for angle in counts.angles} != set(range(0, 360, protocol["curve"]["step"])):
        yield f"counts.angles: not every {protocol['curve']['step']} degrees, as the protocol asks"
    asked, counted = spec["split"]["test"].get("images"), images(counts)
    if whole and asked is not None and counted != asked:
        yield f"counts: {how_many(counted, 'test image')}, but the protocol has {asked}"
    if len(counts.elements["upright"]) != spec["classes"]:
        yield f"counts: not the {spec['classes']} classes of the data set"
    if bool(protocol.get("auc")) != (counts.ordered is not None):
        what = "missing, but the protocol asks" if protocol.get("auc") else "there, but the protocol does not ask"
        yield f"counts.ordered: {what} for the AUC"


def _training(record: Record) -> Iterator[str]:
    """The course of training is that of the recipe, and the tested epoch the one that it would choose."""
    recipe, training = record.spec["recipe"], record.training
    epochs = [epoch.epoch for epoch in training.history]
    if epochs != list(range(1, recipe["epochs"] + 1)):
        yield f"training.history: {how_many(len(epochs), 'epoch')}, but the recipe has {recipe['epochs']}"
        return
    asked = record.spec["split"]["train"].get("images")
    if record.official and asked is not None:
        batches = asked // recipe["batch_size"] if recipe["drop_last"] else ceil(asked / recipe["batch_size"])
        if training.steps != batches * recipe["epochs"]:
            yield f"training.steps: {training.steps}, but the recipe makes {batches * recipe['epochs']}"
    validated = [epoch.validation_accuracy for epoch in training.history]
    if any((accuracy is None) == ("validation" in record.spec["split"]) for accuracy in validated):
        yield "training.history: validation accuracies where there is no validation share, or none where there is one"
        return
    chosen = recipe["epochs"]
    if recipe["tested_model"] == "best-validation":
        scores = [accuracy or 0.0 for accuracy in validated]
        chosen = epochs[scores.index(max(scores))]
    if training.tested_epoch != chosen:
        yield f"training.tested_epoch: {training.tested_epoch}, but the history chooses {chosen}"


def _probes(record: Record) -> Iterator[str]:
    """What was read from the network, after every epoch and at the end, is what the protocol asks for."""
    readings = {f"training.history[{epoch.epoch}].probes": epoch.probes for epoch in record.training.history}
    yield from other_probes(record.spec["evaluation"].get("probes"), {**readings, "probes": record.probes})


def other_probes(asked: Sequence[str] | None, readings: Mapping[str, Any]) -> Iterator[str]:
    """Readings of other probes than a protocol asks for.

    Args:
        asked: the names of the probes, null for none.
        readings: what was read, by probe, under the name of its place; null where nothing was.
    """
    for place, reading in readings.items():
        if set(reading or ()) != set(asked or ()):
            read, wanted = (", ".join(sorted(names)) or "nothing" for names in (reading or (), asked or ()))
            yield f"{place}: {read}, but the protocol asks for {wanted}"


def _relaxation(record: Record) -> Iterator[str]:
    """Relaxation is after minus before."""
    measured = record.equivariance
    changes = relaxation(measured.before, measured.after)
    for depth, value in measured.relaxation.items():
        if changes.get(depth) != value:
            yield f"equivariance.relaxation.{depth}: {value} is not the error after training minus the one before"


def _cost(record: Record) -> Iterator[str]:
    """Seconds add up, and a rate times its seconds is the number of images that the protocol shows."""
    cost, training, recipe = record.cost, record.training, record.spec["recipe"]
    if not isclose(cost.train_seconds, sum(epoch.seconds for epoch in training.history), rel_tol=1e-9):
        yield f"cost.train_seconds: {cost.train_seconds}, but the seconds of the epochs do not add up to it"
    trained = _whole(cost.train_images_per_second * cost.train_seconds)
    batches, epochs = training.steps, len(training.history)
    most = batches * recipe["batch_size"]
    least = most if recipe["drop_last"] else most - epochs * (recipe["batch_size"] - 1)
    if trained is None or trained % epochs or not least <= trained <= most:
        yield "cost.train_images_per_second: with its seconds it does not give the images of the recipe's epochs"
    scored = _whole(cost.test_images_per_second * cost.test_seconds)
    if scored is None or scored % images(record.counts):
        yield "cost.test_images_per_second: with its seconds it does not give whole passes over the test images"


def _whole(number: float) -> int | None:
    """The integer that a product of rounded factors stands for; null where it stands for none."""
    return round(number) if number >= 0.5 and isclose(number, round(number), rel_tol=1e-9) else None


def _provenance(record: Record) -> Iterator[str]:
    made, asked = record.provenance, record.spec["recipe"]["numeric_mode"]
    if made.numeric_mode != asked:
        yield f"provenance.numeric_mode: {made.numeric_mode}, but the protocol has {asked}"
    started, finished = (datetime.fromisoformat(text) for text in (made.started, made.finished))
    if finished < started:
        yield "provenance: finished before it was started"
    if started < datetime.fromisoformat(EARLIEST):
        yield f"provenance.started: {made.started}, before there was this suite"
    if finished > datetime.now(UTC) + CLOCKS:
        yield f"provenance.finished: {made.finished}, which is still to come"


CHECKS = (_checksum, _spec, _counts, _metrics, _conditions, _training, _probes, _relaxation, _cost, _provenance)
