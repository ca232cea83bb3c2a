"""Checks the per-image outputs that a record names, where they are here: its counts must be counts of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from gcnnbench.plain_files import read_plain
from gcnnbench.runs.files import OUTPUTS_BYTES, blob
from gcnnbench.runs.record import Record


def outputs_findings(results: Path, record: Record) -> Iterator[str]:
    """What is wrong with a record's outputs, in words. They are kept outside git and may be missing.

    Args:
        results: the results directory.
        record: the record.
    """
    if record.outputs is None or not blob(results, record.outputs.sha256).exists():
        return
    try:
        content = read_plain(blob(results, record.outputs.sha256), OUTPUTS_BYTES)
    except OSError as error:
        yield f"outputs: the file kept as {record.outputs.sha256[:16]}… cannot be read: {error.strerror}"
        return
    if hashlib.sha256(content).hexdigest() != record.outputs.sha256:
        yield f"outputs: the file kept as {record.outputs.sha256[:16]}… has another sha256 than its name"
        return
    yield from _counted_again(content, record)


def _counted_again(content: bytes, record: Record) -> Iterator[str]:
    import safetensors.torch  # costs an import of torch, which a clone without outputs does not need

    from gcnnbench.scoring.conditions import EvaluationState, count

    counts = record.counts
    try:
        tensors = safetensors.torch.load(content)
        state = EvaluationState(
            logits=dict(zip(counts.elements, tensors["logits"], strict=True)),
            classes=dict(zip(counts.angles, tensors["angle_classes"], strict=True)),
        )
        made = count(state, tensors["labels"], len(counts.elements["upright"]), auc=counts.ordered is not None)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        yield f"outputs: they are not those of the record's conditions ({error})"
        return
    for kind in ("elements", "angles", "flips"):
        stated, found = getattr(counts, kind), getattr(made, kind)
        for name in stated:
            if stated[name] != found.get(name):
                yield f"counts.{kind}.{name}: not the counts of the kept outputs"
    if counts.ordered != made.ordered:
        yield "counts.ordered: not the order of the kept outputs"
