"""Recomputes records from their own counts and compares: the grade *recomputed*, which needs no data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.registry import Registry
from gcnnbench.claims.protocols import difference_from_now
from gcnnbench.data.copies import on_copies
from gcnnbench.leaderboard.frame import current_digests, excluded
from gcnnbench.leaderboard.reading import decided, run
from gcnnbench.leaderboard.tables import stale_tables
from gcnnbench.outside_text import as_line
from gcnnbench.plain_files import read_plain
from gcnnbench.record_checks.across_records import Cells, orphans
from gcnnbench.record_checks.outputs import outputs_findings
from gcnnbench.record_checks.rates_and_macs import MacCount, learning_rate_findings
from gcnnbench.record_checks.rows import Chosen, RecordRow
from gcnnbench.record_checks.weights import weights_findings
from gcnnbench.record_checks.weights_only import weights_only_findings
from gcnnbench.runs.files import File, Kind, read_files, seed_of
from gcnnbench.runs.record import SCHEMA_VERSION, Failure, Record
from gcnnbench.runs.self_checks import guarded, self_findings
from gcnnbench.strict_json import parse_json

Digests = Mapping[tuple[str, str], str]
"""The spec digest of today by (full name of the benchmark, entry)."""
DeeperCheck = Callable[[RecordRow, File, Record], RecordRow]
"""A deeper check: from a recomputed record's row to its row after the check."""


def verify_records(
    registry: Registry,
    results: Path,
    chosen: Chosen | None = None,
    further: DeeperCheck | None = None,
    count: MacCount | None = None,
    each: Callable[[Sequence[File]], Iterable[File]] = iter,
) -> list[RecordRow]:
    """One row for each record or failure, for each cell that is missing below another, and for each stale table.

    Args:
        registry: holds the current protocols; records of others are checked by the protocol that they state.
        results: the results directory.
        chosen: which rows are wanted; all records are read all the same, as some faults only show between them.
        further: takes the records on to a deeper grade that could be recomputed without a finding.
        count: counts the multiply-accumulates of networks; they are not checked without it.
        each: goes through the files, as a bar that shows how far it is.
    """
    registry, chosen = on_copies(registry, results), chosen or Chosen()
    cards = registry.versions()
    expected = current_digests(registry, cards.values())
    rows, cells = [], Cells(expected)
    for file in each(list(read_files(results, checked=False))):
        place = str(file.place)
        if isinstance(file.content, str):
            rows.append(_unread(results, file, file.content))
            if cell := seed_of(file.place):
                cells.accounted.add(cell)
        elif isinstance(file.content, Failure):
            failed = "failed" if file.content.official else "failed with --limit, which excuses no missing seed"
            cells.add_failure(file.content)
            rows.append(RecordRow(place, "not checkable", notes=(f"{failed}: {file.content.reason}",)))
        else:
            row = _recomputed(registry, results, file, file.content, expected, count)
            cells.add(place, file.kind, file.content)
            if further is not None and not row.findings and chosen.covers(place):
                row = further(row, file, file.content)
            rows.append(row)
    rows = cells.compared(rows, {name: card.seeds for name, card in cards.items()})
    rows += [RecordRow(id_, "refused", (what,)) for id_, what in cells.gaps(cards)]
    rows += [RecordRow(place, "refused", (what,)) for place, what in weights_only_findings(registry, results)]
    rows += [_refused(finding) for finding in [*orphans(results), *stale_tables(registry, results)]]
    return [row for row in rows if chosen.covers(row.id)]


def _unread(results: Path, file: File, why: str) -> RecordRow:
    """The row of a file that is no record; one of a newer form than this suite reads is nobody's fault."""
    try:
        version = parse_json(read_plain(results / file.place)).get("schema_version")
    except (OSError, ValueError, AttributeError):
        version = None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        newer = f"schema_version {version} is newer than this suite reads (up to {SCHEMA_VERSION}); update gcnnbench"
        return RecordRow(as_line(str(file.place)), "not checkable", notes=(newer,))
    return RecordRow(as_line(str(file.place)), "refused", (why,))


def _recomputed(
    registry: Registry, results: Path, file: File, record: Record, expected: Digests, count: MacCount | None
) -> RecordRow:
    path = results / file.place
    found = (
        *_findings(registry, record, count),
        *weights_findings(path, results, record),
        *outputs_findings(results, record),
    )
    notes = tuple(_notes(registry, record, file.kind, expected))
    return RecordRow(str(file.place), "refused" if found else "recomputed", found, notes)


def _findings(registry: Registry, record: Record, count: MacCount | None) -> Iterator[str]:
    """What in one record contradicts itself, its own protocol, or the entry that it names."""
    yield from self_findings(record)
    yield from guarded(_equivariance, record)
    yield from guarded(learning_rate_findings, record)
    yield from _parameters(registry, record)
    if count is not None:
        yield from guarded(partial(_macs, count), record)


def _equivariance(record: Record) -> Iterator[str]:
    """Certificate and decision do not contradict each other."""
    disagreement = decided(record.equivariance.exactness_after)[1]
    if disagreement:
        yield f"equivariance.exactness_after: {disagreement}"


def _parameters(registry: Registry, record: Record) -> Iterator[str]:
    """The number of parameters is the one on the model's card, where the card has this configuration."""
    slug, size = split_entry(record.entry)
    card, protocol = registry.models.get(slug), record.spec
    if card is None or protocol.get("model_version") != card.model_version:
        return
    wanted: tuple[Any, Any, int] = (protocol.get("input", {}).get("channels"), protocol.get("classes"), size)
    known = card.count_at(*wanted)
    if known is not None and record.cost.parameters != known.count:
        yield f"cost.parameters: {record.cost.parameters}, but {slug} has {known.count}"


def _macs(count: MacCount, record: Record) -> Iterator[str]:
    """The multiply-accumulates of an image are those counted here, where the suite has this very network."""
    counted = count(record)
    if counted not in (None, record.cost.macs):
        yield f"cost.macs: {record.cost.macs}, but {record.entry} makes {counted}"


def _notes(registry: Registry, record: Record, kind: Kind, expected: Digests) -> Iterator[str]:
    """Why a record that is right in itself may still not count."""
    card = registry.card_of(record.benchmark)
    if card is None:
        yield "of a benchmark that is not registered"
    else:
        why, _ = excluded(run(record, kind, card), card, expected)
        if why is not None:
            differing = difference_from_now(registry, record, card) if why in ("stale", "superseded") else ""
            yield f"{why}: not on the leaderboard" + (f" ({differing})" if differing else "")
        elif card.superseded_by is not None:
            yield f"of {card.full_name}, which version {card.superseded_by} superseded"
    if record.provenance.dirty:
        yield "made from a checkout with changes that no commit holds"


def _refused(finding: str) -> RecordRow:
    place, _, what = finding.partition(": ")
    return RecordRow(as_line(place), "refused", (as_line(what, 1_000),))
