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
from functools import lru_cache
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

REMEMBERED = 1024
"""How many records a process keeps as it read them: a command makes tables, figures and verdicts of the same ones."""

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
            content = parse_model(written, Failure) if failed else _record(written)
        except OSError as error:
            yield File(place, "seed", f"cannot be read: {error.strerror}")
        except ValueError as error:
            yield File(place, "seed", f"no {'failure' if failed else 'record'}: {error}")
        else:
            stated = (content.benchmark, content.entry, str(content.seed))
            if stated != (place.parts[0], place.parts[1], name["seed"]):
                yield File(place, "seed", f"says that it is {stated[0]} {stated[1]} seed {stated[2]}")
            elif checked and isinstance(content, Record) and (found := _contradictions(written)):
                more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
                yield File(place, "seed", f"contradicts itself: {found[0]}{more}")
            else:
                yield File(place, _kind(name["kind"], content), content, hashlib.sha256(written).hexdigest())


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


@lru_cache(maxsize=REMEMBERED)
def _record(written: bytes) -> Record:
    return parse_model(written, Record)


@lru_cache(maxsize=REMEMBERED)
def _contradictions(written: bytes) -> list[str]:
    return self_findings(_record(written))


def _kind(named: str | None, content: Record | Failure) -> Kind:
    if not content.official:
        return "unofficial"
    match (named or "").partition("-")[0]:
        case "repeat" | "stale" | "unofficial" as kind:
            return kind
        case _:
            return "seed"
