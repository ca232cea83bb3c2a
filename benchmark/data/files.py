"""Whether the files of a data set are what its card says, and decoding them into parts that are."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch

from benchmark.cards.schema import DatasetCard, File
from benchmark.data.parts import Part, digest
from benchmark.errors import UserError


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
    if size != file.bytes:
        return f"is {'truncated' if size < file.bytes else 'altered'}: {size} bytes instead of {file.bytes}"
    if content and (found := md5(path)) != file.md5:
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

    Args:
        card: the data set's card.
        module: its `dataset.py`, which has `load(folder)`.
        folder: the data directory.

    Returns:
        The parts by name, in the card's order.

    Raises:
        UserError: a file is missing, truncated or altered, or decodes to something else; one line that names it.
    """
    _refuse(card, folder, faults(card, folder, content=False))
    try:
        parts: dict[str, Part] = module.load(folder)
    except Exception as error:
        # A decoder fails on an altered file in any way it likes; the file is the better message where there is one.
        _refuse(card, folder, faults(card, folder, content=True))
        raise UserError(f"data set {card.name}: dataset.py failed: {type(error).__name__}: {error}") from error
    wrong = _difference(card, parts)
    if wrong:
        _refuse(card, folder, faults(card, folder, content=True))
        raise UserError(f"data set {card.name}: {wrong}; the files are right, so dataset.py or a library has changed")
    return {name: parts[name] for name in card.parts}


def fetch_command(card: DatasetCard, folder: Path) -> str:
    """What to type to have a data set in that data directory, ready for a shell."""
    return f"gcnnbench fetch {card.name} --data {shlex.quote(str(folder))}"


def _refuse(card: DatasetCard, folder: Path, found: tuple[Fault, ...]) -> None:
    if found:
        more = f" (and {len(found) - 1} more of its files)" if len(found) > 1 else ""
        path, what = found[0].path, found[0].what
        raise UserError(f"data set {card.name}: {path} {what}{more}; run: {fetch_command(card, folder)}")


def _difference(card: DatasetCard, parts: dict[str, Part]) -> str | None:
    """The first thing in which decoded parts differ from their card, in words."""
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
        if (found := digest(part)) != said.digest:
            return f"part {name} has the digest {found}, the card says {said.digest}"
    return None
