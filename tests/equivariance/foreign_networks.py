"""Networks of torchvision and timm with isotropic filters: the audit agrees with brute force, or says *unknown*.

Weights are random; filters are constrained to what quarter turns leave alone, so that only sampling, positions and
filters that are not square decide. Each network is audited at an even and at an odd size. Run by `tox -e zoo`; a sample
of torchvision's runs with the other tests.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gcnnbench.equivariance.size_audit import SizeAudit, audit_size
from gcnnbench.nn.groups import P4
from tests.equivariance.symmetric import brute_force, isotropic

EXACT, BROKEN = 1e-9, 1e-5
"""Brute force calls exact what stays below the one in both states, and broken what is above the other in one."""

SIZES = (32, 33)
NETWORKS = [tuple(line.split()) for line in Path(__file__).with_suffix(".txt").read_text().splitlines()]
found: dict[tuple[str, str], list[str]] = {}


def build(library: str, name: str, size: int) -> nn.Module:
    """A network of ten classes with random weights, the same in every call."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        if library == "torchvision":
            options: dict[str, Any] = {"num_classes": 10}
            if name == "googlenet":
                options |= {"init_weights": False, "aux_logits": False}
            return isotropic(getattr(import_module("torchvision.models"), name)(**options))
        create: Callable[..., nn.Module] = import_module("timm").create_model
        try:
            return isotropic(create(name, num_classes=10, img_size=size))
        except TypeError:  # it takes every size
            return isotropic(create(name, num_classes=10))


def compared(library: str, name: str, size: int) -> tuple[str, SizeAudit | None]:
    """What became of one size: `exact`, `approximate`, `unknown`, `refused`, or in capitals what must not be."""
    try:
        network = build(library, name, size)
    except (AssertionError, ValueError):
        return "not made", None  # the library itself refuses the size
    row = audit_size(lambda _: network, size, P4, 3)
    if row.decision == "inapplicable":
        with pytest.raises(Exception):  # noqa: B017 - whatever it is, the network raises it by itself
            brute_force(network, size)
        assert row.reason
        assert "\n" not in row.reason
        return "refused", row
    errors = brute_force(network, size)
    truth = "exact" if max(errors) < EXACT else "approximate" if max(errors) > BROKEN else "undecided"
    if row.disagreement:
        return f"DISAGREEMENT: {row.reason}", row
    if row.decision == "unknown" or truth == "undecided":
        return "unknown", row
    return (truth if row.decision == truth else f"WRONG: {row.decision}, brute force {errors}: {row.reason}"), row


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("library", "name"), NETWORKS)
def test_the_audit_agrees_with_brute_force_or_says_unknown(
    library: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = [compared(library, name, size)[0] for size in SIZES]
    found[library, name] = outcomes
    with capsys.disabled():
        print(f"\n{library} {name}: {', '.join(outcomes)}")  # noqa: T201
    assert not [one for one in outcomes if one.startswith(("WRONG", "DISAGREEMENT"))]


def test_enough_was_compared_and_most_was_decided(capsys: pytest.CaptureFixture[str]) -> None:
    counts = Counter(one.partition(":")[0] for outcomes in found.values() for one in outcomes)
    judged = [key for key, outcomes in found.items() if {"exact", "approximate"} & set(outcomes)]
    with capsys.disabled():
        print(f"\n{len(found)} networks, {len(judged)} decided at a size: {dict(counts)}")  # noqa: T201
    assert len(found) == len(NETWORKS)
    assert len(judged) >= 60
    assert counts["exact"] >= 20
    assert counts["approximate"] >= 40
    assert counts["unknown"] <= 12
