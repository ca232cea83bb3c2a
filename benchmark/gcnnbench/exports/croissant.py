"""A data set's card as Croissant 1.0, the JSON-LD by which data sets are described to other tools."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from gcnnbench.cards.dataset_card import DatasetCard, File
from gcnnbench.cards.registry import Registry
from gcnnbench.formatting import how_many
from gcnnbench.strict_json import json_document

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(registry: Registry, name: str) -> str:
    """The document of a data set: its files below the data directory, its licence and how it is cited.

    Files whose md5 differs between writers of one content are left out, as Croissant wants a checksum of each.

    Raises:
        UserError: there is no such data set.
    """
    card = registry.dataset(name)
    document = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": card.name,
        "description": card.summary,
        "license": card.licence,
        "citeAs": "\n".join(registry.bibliography[source.key] for source in card.sources),
        "distribution": [_file(file) for file in card.files if file.md5],
        "variableMeasured": _parts(card),
    }
    return json_document(document)


def _file(file: File) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": file.path,
        "name": PurePosixPath(file.path).name,
        "contentUrl": file.path,
        "contentSize": f"{file.bytes} B" if file.bytes else "unknown",
        "encodingFormat": "application/octet-stream",
        "md5": file.md5,
    }


def _parts(card: DatasetCard) -> list[dict[str, str]]:
    """The sha256 of the decoded tensors of each part, which decides what data a number was made on."""
    return [
        {
            "@type": "sc:PropertyValue",
            "name": f"part {name}: {how_many(part.images, 'image')} of {card.channels} × {card.size} × {card.size}",
            "propertyID": "sha256 of the decoded tensors",
            "value": part.digest or "of the copy at hand",
        }
        for name, part in card.parts.items()
    ]
