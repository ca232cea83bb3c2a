"""The job `probe`: what can be known of a submitted network before it is trained, all findings at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.data.images import Images
from benchmark.device import arithmetic, seeded
from benchmark.equivariance.audit import audit
from benchmark.macs import forward_macs
from benchmark.nn.groups import P4, P4M
from benchmark.nn.inference import for_scoring
from benchmark.submissions.findings import Finding
from benchmark.submissions.integrity import Snapshot, changes
from benchmark.submissions.limits import broken_limit
from benchmark.submissions.metamorphic import contents, scoring_findings
from benchmark.submissions.subject import CPU, RefusedError, Subject

BATCH = 8
STREAM = 1

Report = dict[str, Any]
Rule = Callable[[Subject, Images, Report], Iterator[Finding]]


def probe_job(subject: Subject, before: Snapshot) -> tuple[list[Finding], Report, dict[str, Tensor]]:
    """Hold a network against every rule that needs no training.

    Args:
        subject: has `images`, and for a weights-only entry its weights.
        before: of the process, before the submitted code was imported.

    Returns:
        Findings, the report of what was measured, and no tensors.

    Raises:
        RefusedError: the code cannot be imported, or its network not be built.
    """
    images = subject.images("probe")
    if images is None or len(images) < 2 * BATCH:
        raise RefusedError("data", "the job was given too few images", f"give it at least {2 * BATCH} images")
    report: Report = {}
    findings: list[Finding] = []
    with arithmetic(CPU, "fp32", subject.threads):
        subject.build()
        for name, rule in RULES.items():
            try:
                findings += rule(subject, images, report)
            except RefusedError as error:
                findings.append(error.finding)
            except Exception as error:
                if broken_limit(error):
                    raise
                said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
                findings.append(Finding(check=name, what=said, remedy="let the network run on every batch of its size"))
    return list(dict.fromkeys((*findings, *changes(before)))), report, {}


def _built(subject: Subject) -> nn.Module:
    return subject.load(subject.build())


def _interface(subject: Subject, images: Images, report: Report) -> Iterator[Finding]:
    remedy = f"give float32 logits (batch, {subject.classes})"
    network = _built(subject).eval()
    with torch.inference_mode():
        for count in (1, BATCH):
            logits = network(images.batch(slice(count)))
            if not isinstance(logits, Tensor):
                yield Finding(check="interface", what=f"forward gives a {type(logits).__name__}", remedy=remedy)
                return
            said = f"{str(logits.dtype).removeprefix('torch.')} {tuple(logits.shape)}"
            if logits.shape != (count, subject.classes) or logits.dtype != torch.float32:
                yield Finding(check="interface", what=f"for {count} images forward gives {said}", remedy=remedy)
                return
    report["output"] = said
    wrong = [name for name, value in network.named_parameters() if value.dtype != torch.float32]
    if wrong:
        yield Finding(
            check="interface", what=f"the parameter {wrong[0]} is no float32", remedy="use float32 parameters"
        )


def _parameters(subject: Subject, images: Images, report: Report) -> Iterator[Finding]:
    count = sum(parameter.numel() for parameter in _built(subject).parameters() if parameter.requires_grad)
    report["parameters"] = count
    configuration = (subject.card.input.channels, subject.classes, subject.size)
    said = [one.count for one in subject.model.parameters if (one.channels, one.classes, one.size) == configuration]
    where = "{} channels, {} classes, size {}".format(*configuration)
    if not said:
        what = f"the card states no number of parameters for {where}"
        yield Finding(check="parameters", what=what, remedy=f"state count: {count} for it")
    elif count != said[0]:
        what = f"the network has {count} trainable parameters at {where}, and the card says {said[0]}"
        yield Finding(check="parameters", what=what, remedy=f"state count: {count}, or build the network of the card")


def _costs(subject: Subject, images: Images, report: Report) -> Iterator[Finding]:
    """MACs of one image are those of the card, and scoring a batch takes no more of them than training on it."""
    macs = forward_macs(_built(subject).eval(), images.batch(slice(1)))
    scored = forward_macs(_built(subject).eval(), images.batch(slice(BATCH)))
    with seeded(CPU, STREAM):
        trained = forward_macs(_built(subject).train(), images.batch(slice(BATCH)))
    passes = scored / trained if trained else 1.0
    report |= {"macs": macs, "passes": round(passes, 3)}
    configuration = (subject.card.input.channels, subject.classes, subject.size)
    said = [one.macs for one in subject.model.parameters if (one.channels, one.classes, one.size) == configuration]
    if said and said[0] is not None and said[0] != macs:
        what = f"one image takes {macs} multiply-accumulates, and the card says {said[0]}"
        yield Finding(check="macs", what=what, remedy=f"state macs: {macs}, or build the network of the card")
    if passes > 1.01:
        what = f"scoring a batch takes {passes:.3g} times the multiply-accumulates of training on it, forward"
        remedy = "score by one pass of the network that is trained: an ensemble or an average over an orbit is another"
        yield Finding(check="passes", what=what, remedy=remedy)


def _gradient(subject: Subject, images: Images, report: Report) -> Iterator[Finding]:
    network = _built(subject).train()
    held = contents(network)
    logits = _step(subject, network, images)
    without = [name for name, value in network.named_parameters() if value.requires_grad and value.grad is None]
    report["parameters_without_gradient"] = without
    if without:
        what = f"{len(without)} parameters get no gradient, {without[0]} first"
        yield Finding(check="gradient", what=what, remedy="use every parameter in forward, or leave it out")
    gradients = [value.grad for value in network.parameters() if value.grad is not None]
    if not logits.isfinite().all() or not all(gradient.isfinite().all() for gradient in gradients):
        remedy = "give finite logits and gradients from the start"
        yield Finding(check="not-finite", what="a training step gives numbers that are not finite", remedy=remedy)
    moved = [name for name, value in network.named_parameters() if not torch.equal(value, held[name])]
    if moved:
        what = f"a forward and backward pass changed the parameter {moved[0]}, before any step of the optimiser"
        yield Finding(
            check="state", what=what, remedy="leave training to the suite: forward must not change parameters"
        )


def _determinism(subject: Subject, images: Images, report: Report) -> Iterator[Finding]:
    remedy = "draw only from torch's generator, which the suite seeds, and from nothing else"
    one, other = _built(subject), _built(subject)
    first, second = contents(one), contents(other)
    differing = [name for name in first if name not in second or not torch.equal(first[name], second[name])]
    report["deterministic"] = not differing
    if differing or len(first) != len(second):
        what = f"two networks built from one seed differ in {(differing or ['their tensors'])[0]}"
        yield Finding(check="determinism", what=what, remedy=remedy)
        return
    steps = [_step(subject, network.train(), images) for network in (one, other)]
    if not torch.equal(*steps):
        report["deterministic"] = False
        what = f"the same training step from the same seed gives logits that differ by {_apart(*steps):.2g}"
        yield Finding(check="determinism", what=what, remedy=remedy)
    scoring = _built(subject).eval()
    with torch.inference_mode():
        twice = [scoring(images.batch(slice(BATCH))) for _ in range(2)]
    if not torch.equal(*twice):
        report["deterministic"] = False
        what = f"the same images scored twice get logits that differ by {_apart(*twice):.2g}"
        yield Finding(check="determinism", what=what, remedy="draw nothing at random in evaluation mode")


def _step(subject: Subject, network: nn.Module, images: Images) -> Tensor:
    """The logits of a training step's forward pass, whose gradients are left in the network."""
    with seeded(CPU, STREAM):
        logits: Tensor = network(images.batch(slice(BATCH)))
    F.cross_entropy(logits, torch.arange(BATCH) % subject.classes).backward()
    return logits.detach()


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


def _portability(subject: Subject, images: Images, report: Report) -> Iterator[Finding]:
    """A forward pass on the meta device, which holds no numbers: a tensor that stayed behind on the CPU shows."""
    try:
        network = _built(subject).eval().to("meta")
        with torch.no_grad():
            network(images.batch(slice(2)).to("meta"))
    except Exception as error:
        said = " ".join(str(error).split())
        away = "device" in said.lower() and "cpu" in said.lower()
        report["portable"] = None if not away else False
        if away:
            remedy = "register constants as buffers, and make new tensors on the device of the input"
            yield Finding(check="portability", what=f"on another device than the CPU: {said[:200]}", remedy=remedy)
    else:
        report["portable"] = True


def _metamorphic(subject: Subject, images: Images, report: Report) -> Iterator[Finding]:
    network = for_scoring(_built(subject))
    yield from scoring_findings(network, images, None, contents(network))


def _exactness(subject: Subject, images: Images, report: Report) -> Iterator[Finding]:
    """The certificate and the decision at every size that the card names, against what it says."""
    model = subject.model
    sizes = tuple(dict.fromkeys((*model.exact_at, *model.approximate_at, subject.size)))
    if model.group == "trivial":
        return

    def shown(count: int, channels: int, size: int) -> Tensor:
        spread = images.batch(torch.arange(count) * (len(images) // count))[:, :channels]
        return F.interpolate(spread, (size, size), mode="bilinear", antialias=True)

    found = audit(
        lambda size: subject.build(size),
        sizes,
        P4M if model.group == "p4m" else P4,
        channels=subject.card.input.channels,
        images=shown,
        name=model.name,
    )
    report["exactness"] = found.document()
    for row in found.sizes:
        claimed = "exact" if row.size in model.exact_at else "approximate" if row.size in model.approximate_at else None
        if claimed is None and not row.disagreement:
            what = f"the card does not say whether the network is exact at {row.size}, where it is entered"
            yield Finding(check="exactness", what=what, remedy=f"it is {row.decision}: name {row.size} there")
        elif row.disagreement or row.decision != claimed:
            evidence = row.reason or f"an error of {row.invariance_error or 0:.1e} at the output, which is rounding"
            what = f"the card says {claimed} at {row.size}, and the audit finds {row.decision}: {evidence}"
            yield Finding(
                check="exactness", what=what, remedy="claim what the network is, or mend the layer that breaks"
            )


RULES: dict[str, Rule] = {
    "interface": _interface,
    "parameters": _parameters,
    "macs": _costs,
    "gradient": _gradient,
    "determinism": _determinism,
    "portability": _portability,
    "batch-independence": _metamorphic,
    "exactness": _exactness,
}
"""Every rule by the name under which a failure to run is reported."""
