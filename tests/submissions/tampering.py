"""What tests do to bundles, and what verifying them says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gcnnbench.submissions.findings import Refused
from gcnnbench.submissions.manifest import MANIFEST, Manifest, digest, entry_of
from gcnnbench.submissions.verifying import Depth, verify_bundle

SEED_0 = "results/mini@1/mynet@12/seed-0.json"
CARD = "models/mynet/model.yaml"
Json = dict[str, Any]


def refused(bundle: Path, mini: Path, depth: Depth = "read") -> dict[str, str]:
    """What each check found."""
    with pytest.raises(Refused) as caught:
        verify_bundle(bundle, Path("unused"), depth=depth, include=[mini])
    found = caught.value.findings
    return {check: "\n".join(str(one) for one in found if one.check == check) for check in {one.check for one in found}}


def reseal(bundle: Path, **changes: Any) -> None:
    """Make the manifest agree with what is in the bundle now, as a forger would."""
    manifest = Manifest.model_validate_json((bundle / MANIFEST).read_bytes())
    files = {
        path.relative_to(bundle).as_posix(): entry_of(path.read_bytes())
        for path in sorted(bundle.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    manifest = manifest.model_copy(update={"files": files} | changes)
    manifest = manifest.model_copy(update={"digest": digest(manifest)})
    (bundle / MANIFEST).write_text(manifest.model_dump_json(indent=1))


def edit_manifest(change: Callable[[Json], object]) -> Callable[[Path], None]:
    """A change of the manifest's data, which its digest does not know of."""

    def edit(bundle: Path) -> None:
        data = json.loads((bundle / MANIFEST).read_text())
        change(data)
        (bundle / MANIFEST).write_text(json.dumps(data))

    return edit


def edit_record(change: Callable[[Json], object], place: str = SEED_0) -> Callable[[Path], None]:
    """A change of a record's data; checksum, manifest and digest are made to agree."""

    def edit(bundle: Path) -> None:
        data = json.loads((bundle / place).read_text())
        change(data)
        data.pop("checksum", None)
        (bundle / place).write_text(json.dumps(data))
        reseal(bundle)

    return edit


def edit_card(old: str, new: str) -> Callable[[Path], None]:
    """A change of the card after the run; manifest and digest are made to agree."""

    def edit(bundle: Path) -> None:
        text = (bundle / CARD).read_text()
        assert text.count(old) == 1, f"{old!r} must stand once in {text}"
        (bundle / CARD).write_text(text.replace(old, new))
        reseal(bundle)

    return edit


def replace_outputs(bundle: Path, content: bytes, place: str = SEED_0, **names: str) -> None:
    """Other outputs for a record, by default under the name of their content."""
    record = json.loads((bundle / place).read_text())
    folder = bundle / "results" / "outputs"
    (folder / f"{record['outputs']['sha256']}.safetensors").unlink()
    sha256 = hashlib.sha256(content).hexdigest()
    (folder / f"{names.get('name', sha256)}.safetensors").write_bytes(content)
    record.pop("checksum", None)
    record["outputs"] = {"sha256": names.get("stated", sha256), "bytes": len(content)}
    (bundle / place).write_text(json.dumps(record))
    reseal(bundle)
