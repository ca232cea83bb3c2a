"""Verifies the files of a data set against its card, and decodes them into parts."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch

from gcnnbench.cards.dataset_card import DatasetCard, File
from gcnnbench.data.copies import UNKNOWN, copy_path, lacks_digests, record_copy, recorded_copy
from gcnnbench.data.parts import Part, digest
from gcnnbench.errors import OtherCopyError, UserError, told
from gcnnbench.foreign_code import REFUSALS, raise_if_told_to_end


@dataclass(frozen=True)
class Fault:
    """A file that is not what the card says, and in what way."""

    path: Path
    what: str


def faults(card: DatasetCard, folder: Path, *, content: bool) -> tuple[Fault, ...]:
    """The files of a data set that are missing, of another length, or of another content.

    Args:
        card: the data set's card.
        folder: the data directory.
        content: read every file and compare its md5 too; without it only lengths are compared.

    Returns:
        One fault a file, none where all is well.
    """
    found = ((folder / file.path, _fault(file, folder / file.path, content)) for file in card.files)
    return tuple(Fault(path, what) for path, what in found if what)


def _fault(file: File, path: Path, content: bool) -> str | None:
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    if file.bytes is not None and size != file.bytes:
        return f"is {'truncated' if size < file.bytes else 'altered'}: {size} bytes instead of {file.bytes}"
    if content and file.md5 is not None and (found := md5(path)) != file.md5:
        return f"is altered: its md5 is {found} instead of {file.md5}"
    return None


def md5(path: Path) -> str:
    """The md5 of a file's content: a checksum against accidents, as the publishers of data sets use it.

    Args:
        path: the file.

    Returns:
        32 hexadecimal digits.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def load_parts(card: DatasetCard, module: ModuleType, folder: Path) -> dict[str, Part]:
    """Decode a data set, and let nothing through whose tensors have another digest than the card says.

    A digest that the card leaves open is recorded in the data directory at the first reading, and checked afterwards.

    Args:
        card: the data set's card.
        module: its `dataset.py`, which has `load(folder)`.
        folder: the data directory.

    Returns:
        The parts by name, in the card's order.

    Raises:
        UserError: a file is missing, truncated or altered, or decodes to something else; one line that names it.
    """
    how = get_command(card, module, folder)
    _refuse(card, how, faults(card, folder, content=False))
    try:
        parts: dict[str, Part] = module.load(folder)
    except UserError as error:
        _refuse(card, how, faults(card, folder, content=True))
        raise UserError(f"data set {card.name}: {error}") from error
    except OSError as error:
        _refuse(card, how, faults(card, folder, content=True))
        raise UserError(f"data set {card.name}: {told(error)}") from error
    except REFUSALS as error:
        raise_if_told_to_end(error)
        # A decoder fails on an altered file in any way it likes; the file is the better message where there is one.
        _refuse(card, how, faults(card, folder, content=True))
        raise UserError(f"data set {card.name}: dataset.py failed: {type(error).__name__}: {error}") from error
    wrong = _misfit(card, parts)
    found = {} if wrong else {name: digest(parts[name]) for name in card.parts}
    wrong = wrong or _other_digest(card, found)
    if wrong:
        _refuse(card, how, faults(card, folder, content=True))
        if found:
            _refuse_another_copy(card, folder, found)
        checked = card.files and all(file.md5 for file in card.files)
        raise UserError(
            f"data set {card.name}: {wrong}; "
            f"{'the files are right, so dataset.py or a library has changed' if checked else how}"
        )
    if lacks_digests(card):
        _keep_copy(card, folder, found)
    return {name: parts[name] for name in card.parts}


def fetch_command(card: DatasetCard, folder: Path) -> str:
    """What to type to have a data set in that data directory, ready for a shell."""
    return f"gcnnbench fetch {card.name} --data {shlex.quote(str(folder))}"


def get_command(card: DatasetCard, module: ModuleType, folder: Path) -> str:
    """How to come by the files: the command that fetches them, or what to do by hand where none can."""
    if hasattr(module, "fetch") or not card.by_hand:
        return f"run: {fetch_command(card, folder)}"
    return f"they are not downloaded (data directory {folder}): {card.by_hand}"


def _refuse(card: DatasetCard, how: str, found: tuple[Fault, ...]) -> None:
    if found:
        first, *others = found
        more = f" (and {len(others)} more of its files)" if others else ""
        raise UserError(f"data set {card.name}: {first.path} {first.what}{more}; {how}")


def _keep_copy(card: DatasetCard, folder: Path, found: dict[str, str]) -> None:
    """Record the copy at the first reading, and refuse another one afterwards."""
    _refuse_another_copy(card, folder, found)
    if not recorded_copy(folder, card.name):
        record_copy(folder, card.name, found)


def _refuse_another_copy(card: DatasetCard, folder: Path, found: dict[str, str]) -> None:
    """Nothing where this copy is the recorded one, or none is."""
    known = recorded_copy(folder, card.name)
    if known and known != found:
        part = next(name for name in found if known.get(name) != found[name])
        path = copy_path(folder, card.name)
        raise OtherCopyError(
            f"data set {card.name}: part {part} has the digest {found[part]}, but {path} recorded "
            f"{known.get(part, UNKNOWN)} when it was first read: put that copy back, or delete {path} if this one "
            "shall replace it, with --results of its own"
        )


def _other_digest(card: DatasetCard, found: dict[str, str]) -> str | None:
    """The first digest that is not the one on the card, in words."""
    for name, said in card.parts.items():
        if said.digest is not None and found[name] != said.digest:
            return f"part {name} has the digest {found[name]}, the card says {said.digest}"
    return None


def _misfit(card: DatasetCard, parts: dict[str, Part]) -> str | None:
    """The first thing but their digests in which decoded parts differ from their card, in words."""
    if set(parts) != set(card.parts):
        return f"load gave the parts {', '.join(sorted(parts))}, the card has {', '.join(sorted(card.parts))}"
    dtype = {"uint8": torch.uint8, "float32": torch.float32}[card.pixels]
    for name, said in card.parts.items():
        part = parts[name]
        shape = (said.images, card.channels, card.size, card.size)
        if part.images.shape != shape or part.images.dtype != dtype:
            return f"part {name} holds {part.images.dtype} {tuple(part.images.shape)}, the card says {dtype} {shape}"
        if int(part.labels.max()) >= card.classes:
            return f"part {name} has the label {int(part.labels.max())}, the card has {card.classes} classes from 0"
    return None
