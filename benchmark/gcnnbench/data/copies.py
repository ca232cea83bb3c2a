"""Digests of copies of data sets that have no canonical one: kept when first read, and named by every record.

Some data sets have no canonical hashed copy. The digests of the decoded tensors are then recorded in
`copies/<data set>.json`: below a data directory when its files are first read, and checked at every later reading;
below a results directory when its first cell is run, so that all its records are made on one copy. Digests enter the
spec, so a record names the copy it was made on, and records of two copies never meet. Whoever trusts a copy writes its
digests on the card; records made on it stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gcnnbench.disk import write_whole
from gcnnbench.errors import OtherCopyError, UserError
from gcnnbench.plain_files import read_plain
from gcnnbench.strict_json import json_document, parse_json

if TYPE_CHECKING:
    from gcnnbench.cards.dataset_card import DatasetCard
    from gcnnbench.cards.registry import Registry

UNKNOWN = "not recorded"
"""What stands in a spec for the digest of a part whose copy nobody has read: no record can have it."""

COPY_BYTES = 1_000_000


def copy_path(folder: Path, dataset: str) -> Path:
    """Where a data or results directory records its copy of a data set."""
    return folder / "copies" / f"{dataset}.json"


def recorded_copy(folder: Path, dataset: str) -> dict[str, str]:
    """The digests by part that are recorded in a data or results directory; empty where there are none.

    Raises:
        UserError: the file does not hold digests by part.
    """
    path = copy_path(folder, dataset)
    try:
        found = parse_json(read_plain(path, COPY_BYTES))
    except FileNotFoundError:
        return {}
    except OSError as error:
        told = f"cannot be read ({error.strerror}); it holds the digest of each part of {dataset}"
        raise UserError(f"{path}: {told}") from error
    except ValueError as error:
        raise UserError(f"{path}: cannot be read ({error}); it holds the digest of each part of {dataset}") from error
    if not isinstance(found, dict) or not all(re.fullmatch("[0-9a-f]{64}", str(value)) for value in found.values()):
        raise UserError(f"{path}: not digests by part; delete it to have the copy of {dataset} recorded anew")
    return found


def record_copy(folder: Path, dataset: str, digests: Mapping[str, str]) -> None:
    """Record a copy: the file is there whole or not at all."""
    content = json_document(digests)
    write_whole(copy_path(folder, dataset), content.encode(), folder / ".work" / "tmp")


def on_copies(registry: Registry, folder: Path) -> Registry:
    """The registry in which data sets without digests on their cards have those recorded in a directory.

    Args:
        registry: the cards.
        folder: a data or a results directory; what it does not record stays open.

    Raises:
        UserError: a recorded copy cannot be read.
    """
    known = {name: _completed(card, folder) for name, card in registry.datasets.items()}
    return registry if known == registry.datasets else replace(registry, datasets=known)


def settle(registry: Registry, dataset: str, data: Path, results: Path) -> Registry:
    """Settle on one copy before anything is trained: that of the data directory, which must be that of the results.

    Args:
        registry: the cards.
        dataset: the data set; its files have been read from `data`.
        data: the data directory.
        results: the results directory; it takes the copy over where it has none yet.

    Raises:
        OtherCopyError: the results directory's records are made on another copy.
    """
    if not lacks_digests(registry.dataset(dataset)):
        return registry
    here, there = recorded_copy(data, dataset), recorded_copy(results, dataset)
    if not there:
        record_copy(results, dataset, here)
    elif here != there:
        part = next(name for name in here if here[name] != there.get(name))
        raise OtherCopyError(
            f"data set {dataset}: the records in {results} are made on another copy (part {part}: "
            f"{there.get(part, UNKNOWN)[:16]}…, {copy_path(results, dataset)}) than the one in {data} "
            f"({here[part][:16]}…); numbers of two copies never meet: name another directory with --results"
        )
    return on_copies(registry, data)


def lacks_digests(card: DatasetCard) -> bool:
    """Whether the card leaves the digest of any part open."""
    return any(part.digest is None for part in card.parts.values())


def _completed(card: DatasetCard, folder: Path) -> DatasetCard:
    if not lacks_digests(card):
        return card
    found = recorded_copy(folder, card.name)
    parts = {
        name: part if part.digest else part.model_copy(update={"digest": found.get(name)})
        for name, part in card.parts.items()
    }
    return card.model_copy(update={"parts": parts})
