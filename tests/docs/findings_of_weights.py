"""Sentences on what weights say of symmetry, made from the kept readings of the probes."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean

from pydantic import TypeAdapter

from gcnnbench.record_checks.weight_probes import Probed
from tests.docs.from_records import ROOT


def of_weights() -> Iterator[str]:
    """How far the features of approximate networks are matched where their pool has broken them."""
    text = (ROOT / "docs/probes/alignment.json").read_text("utf-8")
    means = [
        mean(one.trained)
        for one in TypeAdapter(Probed).validate_json(text).layers
        if one.quantity == "correlation" and one.entry in ("p4cnn@27", "p4cnn@29")
    ]
    broken = [one for one in means if one < 1 - 1e-9]
    yield f"{min(broken):.2f} to {max(broken):.2f} behind"
