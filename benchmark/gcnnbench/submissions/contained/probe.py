"""The job `probe`: what can be known of a submitted network before it is trained, all findings at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.device import arithmetic, seeded
from gcnnbench.formatting import how_many
from gcnnbench.rewriting.folded import for_scoring
from gcnnbench.submissions.contained.card_rules import BATCH, STREAM, Probe, Report, costs, exactness, parameters
from gcnnbench.submissions.contained.integrity import Snapshot, changes
from gcnnbench.submissions.contained.metamorphic import contents, scoring_findings
from gcnnbench.submissions.contained.subject import CPU, RefusedError, Subject
from gcnnbench.submissions.findings import Finding
from gcnnbench.submissions.limits import broken_limit

Rule = Callable[[Probe], Iterator[Finding]]


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
    probe = Probe(subject, images)
    findings: list[Finding] = []
    with arithmetic(CPU, "fp32", subject.threads):
        subject.build()
        for name, rule in RULES.items():
            try:
                findings += rule(probe)
            except RefusedError as error:
                findings.append(error.finding)
            except Exception as error:
                if broken_limit(error):
                    raise
                said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
                findings.append(Finding(check=name, what=said, remedy="let the network run on every batch of its size"))
    return list(dict.fromkeys((*findings, *changes(before)))), probe.report, {}


def _interface(probe: Probe) -> Iterator[Finding]:
    remedy = f"give float32 logits (batch, {probe.subject.classes})"
    network = probe.network(training=False)
    with torch.inference_mode():
        for count in (1, BATCH):
            logits = network(probe.images.batch(slice(count)))
            if not isinstance(logits, Tensor):
                yield Finding(check="interface", what=f"forward gives a {type(logits).__name__}", remedy=remedy)
                return
            said = f"{str(logits.dtype).removeprefix('torch.')} {tuple(logits.shape)}"
            if logits.shape != (count, probe.subject.classes) or logits.dtype != torch.float32:
                yield Finding(
                    check="interface", what=f"for {how_many(count, 'image')} forward gives {said}", remedy=remedy
                )
                return
    probe.report["output"] = said
    wrong = [name for name, value in network.named_parameters() if value.dtype != torch.float32]
    if wrong:
        yield Finding(
            check="interface", what=f"the parameter {wrong[0]} is no float32", remedy="use float32 parameters"
        )


def _gradient(probe: Probe) -> Iterator[Finding]:
    network = probe.network(training=True)
    held = contents(network)
    logits = _step(probe, network)
    without = [name for name, value in network.named_parameters() if value.requires_grad and value.grad is None]
    probe.report["parameters_without_gradient"] = without
    if without:
        what = f"no gradient reaches {how_many(len(without), 'parameter')}, {without[0]} first"
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


def _determinism(probe: Probe) -> Iterator[Finding]:
    remedy = "draw only from torch's generator, which the suite seeds, and from nothing else"
    one, other = probe.network(), probe.network()
    first, second = contents(one), contents(other)
    differing = [name for name in first if name not in second or not torch.equal(first[name], second[name])]
    probe.report["deterministic"] = not differing
    if differing or len(first) != len(second):
        what = f"two networks built from one seed differ in {(differing or ['their tensors'])[0]}"
        yield Finding(check="determinism", what=what, remedy=remedy)
        return
    for network in (one, other):
        network.train()
    steps = [_step(probe, network) for network in (one, other)]
    if not torch.equal(*steps):
        probe.report["deterministic"] = False
        what = f"the same training step from the same seed gives logits that differ by {_apart(*steps):.2g}"
        yield Finding(check="determinism", what=what, remedy=remedy)
    scoring = probe.network(training=False)
    with torch.inference_mode():
        twice = [scoring(probe.images.batch(slice(BATCH))) for _ in range(2)]
    if not torch.equal(*twice):
        probe.report["deterministic"] = False
        what = f"the same images scored twice get logits that differ by {_apart(*twice):.2g}"
        yield Finding(check="determinism", what=what, remedy="draw nothing at random in evaluation mode")


def _step(probe: Probe, network: nn.Module) -> Tensor:
    """The logits of a training step's forward pass, whose gradients are left in the network."""
    with seeded(CPU, STREAM):
        logits: Tensor = network(probe.images.batch(slice(BATCH)))
    F.cross_entropy(logits, torch.arange(BATCH) % probe.subject.classes).backward()
    return logits.detach()


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


def _portability(probe: Probe) -> Iterator[Finding]:
    """A forward pass on the meta device, which holds no numbers: a tensor that stayed behind on the CPU shows."""
    try:
        network = probe.network(training=False)
        network.to("meta")
        with torch.no_grad():
            network(probe.images.batch(slice(2)).to("meta"))
    except Exception as error:
        said = " ".join(str(error).split())
        away = "device" in said.lower() and "cpu" in said.lower()
        probe.report["portable"] = None if not away else False
        if away:
            remedy = "register constants as buffers, and make new tensors on the device of the input"
            yield Finding(check="portability", what=f"on another device than the CPU: {said[:200]}", remedy=remedy)
    else:
        probe.report["portable"] = True


def _metamorphic(probe: Probe) -> Iterator[Finding]:
    network = for_scoring(probe.network())
    yield from scoring_findings(network, probe.images, None, contents(network))


RULES: dict[str, Rule] = {
    "interface": _interface,
    "parameters": parameters,
    "macs": costs,
    "gradient": _gradient,
    "determinism": _determinism,
    "portability": _portability,
    "batch-independence": _metamorphic,
    "exactness": exactness,
}
"""Every rule by the name under which a failure to run is reported."""
