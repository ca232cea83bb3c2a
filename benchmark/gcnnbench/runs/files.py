"""The files of a results directory: their places and names, and reading all of them strictly.

<results>/<benchmark@version>/<entry>/seed-0.json               a record
                                      seed-0.safetensors        its weights, where small enough to commit
                                      seed-0.failed.json        why the cell failed
                                      seed-0.repeat-1.json      a second record of the same cell: never a seed
                                      seed-0.unofficial.json    made with --limit
                                      seed-0.unofficial-failed.json  why a cell with --limit failed
                                      seed-0.stale-1a2b3c4d.json  made by another protocol of the same version
<results>/outputs/<sha256>.safetensors                          per-image outputs and large weights; not in git
<results>/.work/…                                               checkpoints, locks, files being written; not in git
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gcnnbench.plain_files import read_plain
from gcnnbench.runs.record import Failure, Record
from gcnnbench.runs.self_checks import self_findings
from gcnnbench.strict_json import parse_model

Kind = Literal["seed", "repeat", "stale", "unofficial"]

FILE_NAME = re.compile(
    r"seed-(?P<seed>\d+)(?:\.(?P<kind>unofficial-failed|(?:repeat|stale|unofficial|failed)(?:-\w+)?))?\.json"
)
"""The names of records and failures in `<results>/<benchmark@version>/<entry>/`, as the store writes them."""

WEIGHTS_BYTES = 4_000_000_000
OUTPUTS_BYTES = 32_000_000_000
"""The largest files of weights and of per-image outputs that are read."""

REMEMBERED = 4096
"""How many records a process keeps as it parsed them, 0.1 MB each: tables, figures and verdicts are of the same ones.

Those beyond are parsed at each call and push out none: all are passed in one order, and none would be met again.
"""

FOLDER_NAME = re.compile(r"[a-z0-9-]+@[1-9][0-9]*")
"""The names of a benchmark's and of an entry's folder."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a results directory; `content` is text where it cannot be used, and says why."""

    place: Path
    kind: Kind
    content: Record | Failure | str
    sha256: str = ""
    """Of its bytes, where it is a record or a failure."""


def read_files(results: Path, *, of: Collection[str] | None = None, checked: bool = True) -> Iterator[File]:
    """Every record and failure below a results directory, in the order of the paths; one at a time, as they are large.

    The bytes are read at each call; what they say is parsed and checked once in a process (`REMEMBERED`).

    Args:
        results: the directory; one that is not there holds nothing.
        of: only of these benchmarks, by name; null for all.
        checked: a record that contradicts itself cannot be used; without it, it is handed out for a closer look.
    """
    for path in sorted(results.glob("*@*/*@*/seed-*.json")):
        place = path.relative_to(results)
        if of is not None and place.parts[0].partition("@")[0] not in of:
            continue
        name = FILE_NAME.fullmatch(path.name)
        if name is None or not all(map(FOLDER_NAME.fullmatch, place.parts[:2])):
            yield File(place, "seed", "no place of a record; write BENCHMARK@VERSION/SLUG@SIZE/seed-<n>.json")
            continue
        failed = (name["kind"] or "").endswith("failed")
        try:
            written = read_plain(path)
            sha256 = hashlib.sha256(written).hexdigest()
            content = parse_model(written, Failure) if failed else _record(written, sha256)
        except OSError as error:
            yield File(place, "seed", f"cannot be read: {error.strerror}")
        except ValueError as error:
            yield File(place, "seed", f"no {'failure' if failed else 'record'}: {error}")
        else:
            stated = (content.benchmark, content.entry, str(content.seed))
            if stated != (place.parts[0], place.parts[1], name["seed"]):
                yield File(place, "seed", f"says that it is {stated[0]} {stated[1]} seed {stated[2]}")
            elif checked and isinstance(content, Record) and (found := _contradictions(content, sha256)):
                more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
                yield File(place, "seed", f"contradicts itself: {found[0]}{more}")
            else:
                yield File(place, _kind(name["kind"], content), content, sha256)


def seed_of(place: Path) -> tuple[str, str, int] | None:
    """The cell (benchmark@version, entry, seed) whose record stands at this place; null where none of a seed does."""
    name = FILE_NAME.fullmatch(place.name)
    if len(place.parts) != 3 or name is None or name["kind"] is not None:
        return None
    return place.parts[0], place.parts[1], int(name["seed"])


def weights_path(record_path: Path, results: Path, record: Record) -> Path:
    """Where a record's weights are kept: beside it, or outside git under their sha256."""
    return record_path.with_suffix(".safetensors") if record.weights.committed else blob(results, record.weights.sha256)


def blob(results: Path, sha256: str) -> Path:
    """Where per-image outputs and large weights are kept, outside git."""
    return results / "outputs" / f"{sha256}.safetensors"


_parsed: dict[str, Record] = {}
"""Records by the sha256 of their bytes."""
_sound: set[str] = set()
"""Those of them that do not contradict themselves; one that does is asked again, as a clock may have been wrong."""


def _record(written: bytes, sha256: str) -> Record:
    if sha256 in _parsed:
        return _parsed[sha256]
    record = parse_model(written, Record)
    if len(_parsed) < REMEMBERED:
        _parsed[sha256] = record
    return record


def _contradictions(record: Record, sha256: str) -> list[str]:
    if sha256 in _sound:
        return []
    found = self_findings(record)
    if not found and sha256 in _parsed:
        _sound.add(sha256)
    return found


def _kind(named: str | None, content: Record | Failure) -> Kind:
    if not content.official:
        return "unofficial"
    match (named or "").partition("-")[0]:
        case "repeat" | "stale" | "unofficial" as kind:
            return kind
        case _:
            return "seed"
