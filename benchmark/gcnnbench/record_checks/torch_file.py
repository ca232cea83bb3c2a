"""Reads the tensors of a file that `torch.save` wrote, by torch's restricted unpickler, which makes nothing else."""

from __future__ import annotations

import io
import warnings
import zipfile

import torch
from torch import Tensor

from gcnnbench.errors import UserError

LIMIT = 64 * 1024**2
"""Bytes of a file, and of what its archive unpacks to."""


def read_tensors(content: bytes) -> dict[str, Tensor]:
    """The tensors of a dictionary by name, on the CPU.

    Raises:
        UserError: the file is too large, damaged, or holds or asks for anything but tensors; nothing of it was run.
    """
    if len(content) > LIMIT:
        raise UserError(f"the file has {len(content):,} bytes; at most {LIMIT:,} are read")
    try:
        if content.startswith(b"PK") and _unpacked(content) > LIMIT:
            raise UserError(f"the archive unpacks to more than {LIMIT:,} bytes")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except UserError:
        raise
    except Exception as error:  # a damaged file fails in many ways, and torch's own words advise to trust it
        told = "the file is damaged, or asks for something else than tensors; nothing in it was run"
        raise UserError(told) from error
    named = isinstance(found, dict) and all(isinstance(name, str) for name in found)
    if not named or not all(type(one) is Tensor for one in found.values()):
        raise UserError("the file holds something else than a dictionary of tensors by name")
    return dict(found)


def _unpacked(content: bytes) -> int:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return sum(entry.file_size for entry in archive.infolist())
