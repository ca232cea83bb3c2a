"""The passport of a network: its audit, what would repair it, in which arithmetic it stays exact, and its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from gcnnbench.equivariance.audit import Audit
from gcnnbench.equivariance.deviations import OUTPUT
from gcnnbench.equivariance.explanation import sizes_that_do
from gcnnbench.equivariance.factories import Factory
from gcnnbench.equivariance.precision import slots
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.equivariance.size_audit import SizeAudit
from gcnnbench.equivariance.wording import Words
from gcnnbench.nn.fields import Field, Invariant
from gcnnbench.passport.arithmetic import ROUNDOFF, Arithmetic, arithmetics
from gcnnbench.runs.provenance import platform_name, versions

VERSION = 1
"""Of the form of the document."""
FEW = 4


@dataclass(frozen=True)
class Page:
    """One size of a passport: its row of the audit, the verdict it reads, repairs in words, and the weights there."""

    row: SizeAudit
    verdict: Words
    repairs: tuple[str, ...]
    weights: str | None
    parameters: int | None


@dataclass(frozen=True)
class Passport:
    """All of it. `arithmetic` is measured at `arithmetic_size`, the first exact size; empty where there is none."""

    audit: Audit
    pages: tuple[Page, ...]
    arithmetic_size: int | None
    arithmetic: tuple[Arithmetic, ...]

    def document(self) -> dict[str, Any]:
        """The JSON document."""
        return {
            "passport_version": VERSION,
            "network": self.audit.network,
            "group": self.audit.group,
            "channels": self.audit.channels,
            "sizes": [
                page.row.document()
                | {
                    "verdict": page.verdict,
                    "recovered": list(page.row.recovered),
                    "nearest": list(page.row.nearest),
                    "repairs": list(page.repairs),
                    "weights_sha256": page.weights,
                    "parameters": page.parameters,
                }
                for page in self.pages
            ],
            "arithmetic": {"size": self.arithmetic_size, "modes": [asdict(one) for one in self.arithmetic]},
            "versions": versions(),
            "platform": platform_name(),
        }


def passport(
    found: Audit,
    make: Factory,
    verdicts: Sequence[Words],
    output: Field | None = None,
    names: tuple[str, ...] = (*ROUNDOFF,),
) -> Passport:
    """The passport of a network that was audited, with its nearest exact sizes.

    Args:
        found: the audit.
        make: the network for a size, as it was audited.
        verdicts: what each row of the audit reads (`wording.words`).
        output: how the output transforms; invariant logits where None.
        names: the arithmetics that are measured, of `arithmetic.ROUNDOFF`.
    """
    group = found.acting_group
    pages = []
    for row, verdict in zip(found.sizes, verdicts, strict=True):
        network = None if row.decision == "inapplicable" else make(row.size)
        pages.append(
            Page(
                row,
                verdict,
                tuple(sizes_that_do(make, row, found.channels, group)),
                weights_digest(network) if network else None,
                sum(parameter.numel() for parameter in network.parameters()) if network else None,
            )
        )
    exact = next((row for row in found.sizes if row.decision == "exact"), None)
    measured: tuple[Arithmetic, ...] = ()
    if exact is not None and exact.measured is not None:
        bound = max(one.bound for one in exact.measured.states[0].judged if one.layer == OUTPUT)
        images = sample_images(FEW, found.channels, exact.size)
        measured = arithmetics(make(exact.size), images, group, output or Invariant(), bound, names)
    return Passport(found, tuple(pages), exact.size if exact else None, measured)


def weights_digest(network: nn.Module) -> str:
    """sha256 over names, types, shapes and bytes of all parameters and buffers, in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(slots(network).items()):
        here = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {here.dtype} {tuple(here.shape)}\n".encode())
        digest.update(here.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
