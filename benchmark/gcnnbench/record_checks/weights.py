"""Checks the weights file that a record names: there, unchanged, and of a form that fits its network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from gcnnbench.formatting import how_many
from gcnnbench.plain_files import read_plain
from gcnnbench.runs.files import WEIGHTS_BYTES, weights_path
from gcnnbench.runs.record import Record


def weights_findings(record_path: Path, results: Path, record: Record) -> Iterator[str]:
    """What is wrong with a record's weights, in words. Weights kept outside git may be missing.

    Args:
        record_path: the record's file.
        results: the results directory.
        record: the record.
    """
    path = weights_path(record_path, results, record)
    if not path.exists():
        if record.weights.committed:
            yield f"weights: {path.name} is missing, though the record says that it is committed"
        return
    try:
        content = read_plain(path, WEIGHTS_BYTES)
    except OSError as error:
        yield f"weights: {path.name} cannot be read: {error.strerror}"
        return
    if hashlib.sha256(content).hexdigest() != record.weights.sha256:
        yield f"weights: {path.name} is not the file whose sha256 the record states"
        return
    if len(content) != record.weights.bytes:
        yield f"weights.bytes: {record.weights.bytes}, but {path.name} has {len(content)}"
    try:
        tensors = load(content)
    except SafetensorError as error:
        yield f"weights: {path.name} is no safetensors file: {error}"
        return
    numbers = sum(tensor.size for tensor in tensors.values())
    if numbers < record.cost.parameters:
        parameters = how_many(record.cost.parameters, "parameter")
        yield f"weights: {how_many(numbers, 'number')}, fewer than the {parameters} of the record"
    broken = [name for name, tensor in tensors.items() if tensor.dtype.kind == "f" and not np.isfinite(tensor).all()]
    if broken:
        yield f"weights: {broken[0]} holds numbers that are not finite"
