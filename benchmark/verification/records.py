"""Records put to the test with nothing but the clone: everything that can be recomputed is, and must agree."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from math import ceil
from pathlib import Path

from benchmark.cards.copies import on_copies
from benchmark.cards.registry import Registry
from benchmark.cards.schema import ELEMENTS, split_entry
from benchmark.leaderboard.frame import excluded
from benchmark.leaderboard.reading import decided, run
from benchmark.leaderboard.tables import stale_tables
from benchmark.metrics import differences, images, inconsistencies, metrics
from benchmark.runs.files import FILE_NAME, File, Kind, read_files
from benchmark.runs.record import SCHEMA_VERSION, Failure, Record
from benchmark.runs.spec import spec, spec_digest
from benchmark.verification.between import Cells, orphans
from benchmark.verification.outputs import outputs_findings
from benchmark.verification.protocols import difference_from_now
from benchmark.verification.record_rows import Chosen, RecordRow
from benchmark.verification.weights import weights_findings
from benchmark.verification.weights_only import weights_only_findings

Further = Callable[[RecordRow, File, Record], RecordRow]
"""A deeper check: from a recomputed record's row to its row after the check."""


def verify_records(
    registry: Registry, results: Path, chosen: Chosen | None = None, further: Further | None = None
) -> list[RecordRow]:
    """One row for each record or failure, for each cell that is missing below another, and for each stale table.

    Args:
        registry: holds the current protocols; records of others are checked by the protocol that they state.
        results: the results directory.
        chosen: which rows are wanted; all records are read all the same, as some faults only show between them.
        further: takes the records on to a deeper grade that could be recomputed without a finding.
    """
    registry, chosen = on_copies(registry, results), chosen or Chosen()
    rows, cells = [], Cells()
    for file in read_files(results):
        place = str(file.place)
        if isinstance(file.content, str):
            rows.append(_unread(results, file, file.content))
            if name := FILE_NAME.fullmatch(file.place.name):
                cells.accounted.add((file.place.parts[0], file.place.parts[1], int(name["seed"])))
        elif isinstance(file.content, Failure):
            cells.accounted.add((file.content.benchmark, file.content.entry, file.content.seed))
            rows.append(RecordRow(place, "not checkable", notes=(f"failed: {file.content.reason}",)))
        else:
            row = _recomputed(registry, results, file, file.content)
            cells.add(place, file.kind, file.content)
            if further is not None and not row.findings and chosen.covers(place):
                row = further(row, file, file.content)
            rows.append(row)
    rows = cells.compared(rows, {name: card.seeds for name, card in registry.versions().items()})
    rows += [RecordRow(id_, "refused", (what,)) for id_, what in cells.gaps()]
    rows += [RecordRow(place, "refused", (what,)) for place, what in weights_only_findings(registry, results)]
    rows += [_refused(finding) for finding in [*orphans(results), *stale_tables(registry, results)]]
    return [row for row in rows if chosen.covers(row.id)]


def _unread(results: Path, file: File, why: str) -> RecordRow:
    """The row of a file that is no record; one of a newer form than this suite reads is nobody's fault."""
    try:
        version = json.loads((results / file.place).read_bytes()).get("schema_version")
    except (OSError, ValueError, AttributeError):
        version = None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        newer = f"schema_version {version} is newer than this suite reads (up to {SCHEMA_VERSION}); update gcnnbench"
        return RecordRow(str(file.place), "not checkable", notes=(newer,))
    return RecordRow(str(file.place), "refused", (why,))


def _recomputed(registry: Registry, results: Path, file: File, record: Record) -> RecordRow:
    path = results / file.place
    found = (
        *_findings(registry, record),
        *weights_findings(path, results, record),
        *outputs_findings(results, record),
    )
    notes = tuple(_notes(registry, record, file.kind))
    return RecordRow(str(file.place), "refused" if found else "recomputed", found, notes)


def _findings(registry: Registry, record: Record) -> Iterator[str]:
    """What in one record contradicts itself, its own protocol, or the entry that it names."""
    if spec_digest(record.spec) != record.spec_digest:
        yield "spec: it does not have the digest that the record states, so protocol or digest was edited"
    if record.spec.get("entry") != record.entry:
        yield f"spec.entry: {record.spec.get('entry')}, but the record is of {record.entry}"
    if record.official == (record.unofficial_because is not None):
        yield "official: a record is official, or says in unofficial_because why it is not"
    yield from inconsistencies(record.counts)
    for check in (_metrics, _conditions, _training, _equivariance, _provenance):
        yield from _guarded(check, record)
    yield from _parameters(registry, record)


def _guarded(check: Callable[[Record], Iterator[str]], record: Record) -> Iterator[str]:
    """The findings of a check; a spec or counts in which it cannot find its way are a finding, too."""
    try:
        yield from check(record)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        yield f"spec or counts: not what a record of this form holds ({type(error).__name__}: {error})"


def _metrics(record: Record) -> Iterator[str]:
    seen: Sequence[str] = record.spec["evaluation"]["seen"]
    error = record.equivariance.after.invariance_error
    made = metrics(record.counts, seen, invariance_error=error)
    yield from differences(record.metrics, made)
    if lacking := sorted(name for name in made if name not in record.metrics and name.startswith("accuracy.")):
        yield f"metrics: {', '.join(lacking)} missing"


def _conditions(record: Record) -> Iterator[str]:
    """The group's elements, the curve's angles and the number of test images are those of the protocol."""
    protocol = record.spec["evaluation"]
    if set(record.counts.elements) != set(ELEMENTS[protocol["group"]]):
        yield f"counts.elements: {', '.join(record.counts.elements)} are not the elements of {protocol['group']}"
    if {int(angle) for angle in record.counts.angles} != set(range(0, 360, protocol["curve"]["step"])):
        yield f"counts.angles: not every {protocol['curve']['step']} degrees, as the protocol asks"
    asked, counted = record.spec["split"]["test"].get("images"), images(record.counts)
    if record.official and asked is not None and counted != asked:
        yield f"counts: {counted} test images, but the protocol has {asked}"
    if len(record.counts.elements["upright"]) != record.spec["classes"]:
        yield f"counts: not the {record.spec['classes']} classes of the data set"
    if bool(protocol.get("auc")) != (record.counts.ordered is not None):
        what = "missing, but the protocol asks" if protocol.get("auc") else "there, but the protocol does not ask"
        yield f"counts.ordered: {what} for the AUC"


def _training(record: Record) -> Iterator[str]:
    """The course of training is that of the recipe, and the tested epoch the one that it would choose."""
    recipe, training = record.spec["recipe"], record.training
    epochs = [epoch.epoch for epoch in training.history]
    if epochs != list(range(1, recipe["epochs"] + 1)):
        yield f"training.history: {len(epochs)} epochs, but the recipe has {recipe['epochs']}"
        return
    asked = record.spec["split"]["train"].get("images")
    if record.official and asked is not None:
        batches = asked // recipe["batch_size"] if recipe["drop_last"] else ceil(asked / recipe["batch_size"])
        if training.steps != batches * recipe["epochs"]:
            yield f"training.steps: {training.steps}, but the recipe makes {batches * recipe['epochs']}"
    chosen = recipe["epochs"]
    if recipe["tested_model"] == "best-validation":
        scores = [epoch.validation_accuracy or 0.0 for epoch in training.history]
        chosen = epochs[scores.index(max(scores))]
    if training.tested_epoch != chosen:
        yield f"training.tested_epoch: {training.tested_epoch}, but the history chooses {chosen}"


def _equivariance(record: Record) -> Iterator[str]:
    """Relaxation is after minus before, and certificate and decision do not contradict each other."""
    measured = record.equivariance
    early, late = (
        {depth.depth: depth.relative for depth in state.depths} | {"logits": state.invariance_error}
        for state in (measured.before, measured.after)
    )
    for depth, value in measured.relaxation.items():
        then, now = early.get(depth), late.get(depth)
        if then is None or now is None or now - then != value:
            yield f"equivariance.relaxation.{depth}: {value} is not the error after training minus the one before"
    disagreement = decided(measured.exactness_after)[1]
    if disagreement:
        yield f"equivariance.exactness_after: {disagreement}"


def _provenance(record: Record) -> Iterator[str]:
    made, asked = record.provenance, record.spec["recipe"]["numeric_mode"]
    if made.numeric_mode != asked:
        yield f"provenance.numeric_mode: {made.numeric_mode}, but the protocol has {asked}"
    if datetime.fromisoformat(made.finished) < datetime.fromisoformat(made.started):
        yield "provenance: finished before it was started"


def _parameters(registry: Registry, record: Record) -> Iterator[str]:
    """The number of parameters is the one on the model's card, where the card has this configuration."""
    slug, size = split_entry(record.entry)
    card, protocol = registry.models.get(slug), record.spec
    if card is None or protocol.get("model_version") != card.model_version:
        return
    configuration = (protocol.get("input", {}).get("channels"), protocol.get("classes"), size)
    for known in card.parameters:
        stated = record.cost.parameters
        if (known.channels, known.classes, known.size) == configuration and stated != known.count:
            yield f"cost.parameters: {stated}, but {slug} has {known.count}"


def _notes(registry: Registry, record: Record, kind: Kind) -> Iterator[str]:
    """Why a record that is right in itself may still not count."""
    card = registry.card_of(record.benchmark)
    if card is None:
        yield "of a benchmark that is not registered"
    else:
        expected = {(card.full_name, entry): spec_digest(spec(registry, card, entry)) for entry in card.entries}
        why, _ = excluded(run(record, kind, card), card, expected)
        if why is not None:
            differing = difference_from_now(registry, record) if why in ("stale", "superseded") else ""
            yield f"{why}: not on the leaderboard" + (f" ({differing})" if differing else "")
        elif card.superseded_by is not None:
            yield f"of {card.full_name}, which version {card.superseded_by} superseded"
    if record.provenance.dirty:
        yield "made from a checkout with changes that no commit holds"


def _refused(finding: str) -> RecordRow:
    place, _, what = finding.partition(": ")
    return RecordRow(place, "refused", (what,))
