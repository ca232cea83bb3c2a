"""A bundle's manifest: what is in it, each file by its sha256, and one digest over all.

<slug>.bundle/manifest.json
              models/<slug>/…                                 the submission's folder
              results/<benchmark@version>/<entry>/seed-0.json …  its records, as in any results directory
              results/outputs/<sha256>.safetensors            per-image outputs and large weights
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from gcnnbench.cards.base import EntryName, Model, Name, Sha256, Some
from gcnnbench.cards.values import Natural
from gcnnbench.submissions.findings import Finding
from gcnnbench.submissions.tree import TEXT_BYTES, WEIGHTS_BYTES

FORM: Literal[1] = 1
MANIFEST = "manifest.json"
MANIFEST_BYTES = 10_000_000
RECORD_BYTES = 20_000_000
BUNDLE_BYTES = 20_000_000_000
Division = Literal["trained", "weights-only"]

_PLACE = re.compile(
    r"models/(?P<slug>[a-z0-9-]+)/[A-Za-z0-9_.-]+"
    r"|results/[a-z0-9-]+@[1-9][0-9]*/[a-z0-9-]+@[1-9][0-9]*/(seed-(0|[1-9][0-9]*)|weights-only)\.(json|safetensors)"
    r"|results/outputs/[0-9a-f]{64}\.safetensors"
)
"""Where a file of a bundle can stand."""


class FileEntry(Model):
    """One file of a bundle."""

    sha256: Sha256
    bytes: Natural


class Trial(Model):
    """An entry of a benchmark, with the seeds that were run; none where the network came trained."""

    benchmark: str
    entry: EntryName
    seeds: tuple[Natural, ...]


class Manifest(Model):
    """What a bundle holds. `environment` says with what it was made, and how the submitted code was contained."""

    form: Literal[1]
    model: Name
    division: Division
    trials: Some[Trial]
    environment: dict[str, str]
    files: dict[str, FileEntry]
    digest: Sha256


def sealed(
    model: str,
    division: Division,
    trials: tuple[Trial, ...],
    environment: Mapping[str, str],
    files: Mapping[str, FileEntry],
) -> Manifest:
    """A manifest with its digest; the same parts give the same bytes."""
    made = Manifest(
        form=FORM,
        model=model,
        division=division,
        trials=trials,
        environment=dict(sorted(environment.items())),
        files=dict(sorted(files.items())),
        digest="0" * 64,
    )
    return made.model_copy(update={"digest": digest(made)})


def digest(manifest: Manifest) -> str:
    """The sha256 over the canonical JSON of everything else in a manifest, the files' digests among it."""
    data: dict[str, Any] = manifest.model_dump(mode="json", exclude={"digest"})
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


def entry_of(content: bytes) -> FileEntry:
    """A file's line in the manifest."""
    return FileEntry(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def is_place(name: str) -> bool:
    """Whether a file of a bundle can stand there; nothing else is packed."""
    return _PLACE.fullmatch(name) is not None and ".." not in name


def place_findings(manifest: Manifest) -> Iterator[Finding]:
    """Paths at which no file of this bundle may stand, outputs that are not named by their content, and excess."""
    remedy = f"files stand below models/{manifest.model}/ and results/, as `gcnnbench submit` packs them"
    for name, stated in manifest.files.items():
        found = _PLACE.fullmatch(name)
        if found is None or ".." in name or found["slug"] not in (None, manifest.model):
            yield Finding(check="path", what=f"{MANIFEST} names {name!r}", remedy=remedy)
        elif name.startswith("results/outputs/") and name != f"results/outputs/{stated.sha256}.safetensors":
            what = f"{name} has the sha256 {stated.sha256}, by which it must be named"
            yield Finding(check="path", what=what, remedy=remedy)
        elif stated.bytes > limit_of(name):
            what = f"{name} has {stated.bytes:,} bytes"
            yield Finding(check="size-limit", what=what, remedy=f"at most {limit_of(name):,}")
    total = sum(stated.bytes for stated in manifest.files.values())
    if total > BUNDLE_BYTES:
        yield Finding(check="size-limit", what=f"the files have {total:,} bytes", remedy=f"at most {BUNDLE_BYTES:,}")


def limit_of(name: str) -> int:
    """How many bytes a file of a bundle may have; nothing of a larger one is read."""
    if name.endswith(".safetensors"):
        return WEIGHTS_BYTES
    return TEXT_BYTES if name.startswith("models/") else RECORD_BYTES
