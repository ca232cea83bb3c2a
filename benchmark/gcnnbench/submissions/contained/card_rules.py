"""What a network's card says of it, held against the network: parameters, multiply-accumulates, exactness."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.cards.model_card import ParameterCount
from gcnnbench.data.images import Images
from gcnnbench.device import seeded
from gcnnbench.equivariance.audit import audit
from gcnnbench.equivariance.learnt import learnt_symmetry
from gcnnbench.errors import UserError
from gcnnbench.formatting import how_many
from gcnnbench.nn.groups import P4, P4M
from gcnnbench.runs.measuring import trainable_parameters
from gcnnbench.scoring.macs import forward_macs
from gcnnbench.submissions.contained.subject import CPU, Subject
from gcnnbench.submissions.findings import Finding

BATCH = 8
STREAM = 1

Report = dict[str, Any]


@dataclass(frozen=True)
class Probe:
    """A subject under examination: its images at the entry's size, and the report of what is measured."""

    subject: Subject
    images: Images
    report: Report = field(default_factory=dict)

    def network(self, *, training: bool | None = None) -> nn.Module:
        """A new network in the mode that is asked for, with the weights that were given where there are any."""
        network = self.subject.load(self.subject.build())
        if training is not None:
            network.train(training)
        return network

    @property
    def configuration(self) -> tuple[int, int, int]:
        """Channels, classes and size of the entry."""
        return self.subject.card.input.channels, self.subject.classes, self.subject.size

    @property
    def stated(self) -> ParameterCount | None:
        """What the card states for this configuration."""
        return self.subject.model.count_at(*self.configuration)


def parameters(probe: Probe) -> Iterator[Finding]:
    """The number of trainable parameters is stated for this configuration, and right."""
    count = trainable_parameters(probe.network())
    probe.report["parameters"] = count
    channels, classes, size = probe.configuration
    where = "{}, {}, size {}".format(how_many(channels, "channel"), how_many(classes, "class", "classes"), size)
    if probe.stated is None:
        what = f"the card states no number of parameters for {where}"
        yield Finding(check="parameters", what=what, remedy=f"state count: {count} for it")
    elif count != probe.stated.count:
        found = how_many(count, "trainable parameter")
        what = f"the network has {found} at {where}, and the card says {probe.stated.count:,}"
        yield Finding(check="parameters", what=what, remedy=f"state count: {count}, or build the network of the card")


def costs(probe: Probe) -> Iterator[Finding]:
    """MACs of one image are those of the card, and scoring a batch takes no more of them than training on it."""
    macs = forward_macs(probe.network(training=False), probe.images.batch(slice(1)))
    scored = forward_macs(probe.network(training=False), probe.images.batch(slice(BATCH)))
    with seeded(CPU, STREAM):
        trained = forward_macs(probe.network(training=True), probe.images.batch(slice(BATCH)))
    passes = scored / trained if trained else 1.0
    probe.report.update(macs=macs, passes=round(passes, 3))
    said = probe.stated.macs if probe.stated else None
    if said is not None and said != macs:
        what = f"one image takes {macs} multiply-accumulates, and the card says {said}"
        yield Finding(check="macs", what=what, remedy=f"state macs: {macs}, or build the network of the card")
    if passes > 1.01:
        what = f"scoring a batch takes {passes:.3g} times the multiply-accumulates of training on it, forward"
        remedy = "score by one pass of the network that is trained: an ensemble or an average over an orbit is another"
        yield Finding(check="passes", what=what, remedy=remedy)


def exactness(probe: Probe) -> Iterator[Finding]:
    """The certificate and the decision at every size that the card names, against what it says."""
    model = probe.subject.model
    sizes = tuple(dict.fromkeys((*model.claimed_at, probe.subject.size)))
    if model.group == "trivial":
        return

    def shown(count: int, channels: int, size: int) -> Tensor:
        spread = probe.images.batch(torch.arange(count) * (len(probe.images) // count))[:, :channels]
        return F.interpolate(spread, (size, size), mode="bilinear", antialias=True)

    found = audit(
        lambda size: probe.subject.build(size),
        sizes,
        P4M if model.group == "p4m" else P4,
        channels=probe.subject.card.input.channels,
        images=shown,
        name=model.name,
    )
    probe.report["exactness"] = found.document()
    for row in found.sizes:
        claimed = model.claim_at(row.size)
        if claimed == "learnt":
            yield from _learnt(probe, row.size, shown(BATCH, probe.subject.card.input.channels, row.size))
        elif claimed is None and not row.disagreement:
            what = f"the card does not say whether the network is exact at {row.size}, where it is entered"
            yield Finding(check="exactness", what=what, remedy=f"it is {row.decision}: name {row.size} there")
        elif row.disagreement or row.decision != claimed:
            rounding = f"an error of {row.error or 0:.1e} at the output, which is rounding"
            evidence = rounding if row.decision == "exact" and not row.disagreement else row.reason or rounding
            what = f"the card says {claimed} at {row.size}, and the audit finds {row.decision}: {evidence}"
            remedy = f"name {row.size} in {row.decision}_at" if row.decision != "unknown" else "claim what can be told"
            if claimed == "exact":
                remedy += ", or mend the layer that breaks"
            yield Finding(check="exactness", what=what, remedy=remedy)


def _learnt(probe: Probe, size: int, images: Tensor) -> Iterator[Finding]:
    """A size in `learnt_at`: exact at the symmetric point that the network declares, and free to leave it."""
    group = P4M if probe.subject.model.group == "p4m" else P4
    try:
        wrong = learnt_symmetry(probe.subject.build(size), images, group).wrong(group)
    except UserError as error:
        wrong = str(error)
    if wrong is not None:
        remedy = "claim what the network is, or give its modules a `symmetric()` that leads to their symmetric point"
        yield Finding(check="exactness", what=f"the card says learnt at {size}, and {wrong}", remedy=remedy)
