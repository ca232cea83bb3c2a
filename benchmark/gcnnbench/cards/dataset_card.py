"""What a data set card may say: files, parts with their digests, and the form of the images."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gcnnbench.cards.base import (
    Channels,
    Classes,
    DataPath,
    Described,
    Line,
    Md5,
    Model,
    Name,
    Sha256,
    Size,
    Text,
    broken_rule,
)
from gcnnbench.cards.values import Natural, Positive


class Part(Model):
    """One part of a data set as its files hold it, with the digest of the decoded tensors.

    Where nobody has published the digest of a copy it is left out: then each data directory records the digest of its
    copy when it is first read, and records name it.
    """

    images: Positive
    digest: Sha256 | None = None


class File(Model):
    """One file of a data set below the data directory.

    Length and md5 are left out where they are not known, or differ between writers of one content; the digest of the
    decoded tensors decides.
    """

    path: DataPath
    bytes: Positive | None = None
    md5: Md5 | None = None


class DatasetCard(Described):
    """A data set: a folder `datasets/<name>` with this card and a `dataset.py` that has `load`."""

    licence: Line
    classes: Classes
    channels: Channels
    size: Size
    pixels: Literal["uint8", "float32"]
    orientation: Literal["as-shown", "transposed"] | None = None
    """How images stand in the tensors: as a reader sees them, or with rows and columns exchanged, a mirror image."""
    parts: Annotated[dict[Name, Part], Field(min_length=1)]
    files: tuple[File, ...] = ()
    download_bytes: Natural
    disk_bytes: Natural
    by_hand: Text | None = None

    @model_validator(mode="after")
    def _each_file_once(self) -> Self:
        seen: set[str] = set()
        for index, file in enumerate(self.files):
            if file.path in seen:
                raise broken_rule(f"{file.path} stands twice; name each file once", "files", index, "path")
            seen.add(file.path)
        return self
