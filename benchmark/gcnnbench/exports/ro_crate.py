"""A bundle of a submission as an RO-Crate: one file of JSON-LD that says what each file is and what made it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from gcnnbench.formatting import versions_text
from gcnnbench.strict_json import json_document
from gcnnbench.submissions.manifest import MANIFEST, Manifest

METADATA = "ro-crate-metadata.json"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
FORMATS = {".json": "application/json", ".yaml": "application/yaml", ".py": "text/x-python"}


def ro_crate(manifest: Manifest, licence: str, published: str) -> str:
    """The metadata of a bundle, by the profile of Process Run Crates.

    Args:
        manifest: of the bundle.
        licence: of the submitted model.
        published: the day of its last record, or on which it was packed, in ISO 8601.
    """
    files = [_file(name, entry.sha256, entry.bytes) for name, entry in manifest.files.items()]
    records = [file["@id"] for file in files if file["@id"].startswith("results/") and file["@id"].endswith(".json")]
    graph: list[dict[str, Any]] = [
        {
            "@id": METADATA,
            "@type": "CreativeWork",
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            "about": {"@id": "./"},
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": f"{manifest.model}, a bundle of gcnnbench",
            "description": f"A model, its records and weights ({manifest.division}); digest {manifest.digest}",
            "license": licence,
            "datePublished": published,
            "conformsTo": {"@id": PROFILE},
            "hasPart": [{"@id": MANIFEST}, *({"@id": file["@id"]} for file in files)],
            "mentions": [{"@id": "#run"}],
        },
        {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        {
            "@id": "#gcnnbench",
            "@type": "SoftwareApplication",
            "name": "gcnnbench",
            "version": manifest.environment.get("gcnnbench", "unknown"),
            "softwareRequirements": versions_text(manifest.environment),
        },
        {
            "@id": "#run",
            "@type": "CreateAction",
            "name": "gcnnbench submit",
            "endTime": published,
            "instrument": {"@id": "#gcnnbench"},
            "object": [{"@id": file["@id"]} for file in files if file["@id"].startswith("models/")],
            "result": [{"@id": name} for name in records],
        },
        {"@id": MANIFEST, "@type": "File", "name": MANIFEST, "encodingFormat": "application/json"},
        *files,
    ]
    return json_document({"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph})


def _file(name: str, sha256: str, size: int) -> dict[str, Any]:
    return {
        "@id": name,
        "@type": "File",
        "name": PurePosixPath(name).name,
        "contentSize": str(size),
        "encodingFormat": FORMATS.get(PurePosixPath(name).suffix, "application/octet-stream"),
        "sha256": sha256,
    }
