"""What is measured of layers and networks, each section a function from a bench to its comparisons."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.device import scoring_batch
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.dropout import Dropout
from gcnnbench.nn.groups import P4, P4M, TRIVIAL, Group
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.perf import networks
from gcnnbench.perf.bench import Bench, Prepare
from gcnnbench.perf.networks import FLOOR, NCHW, OURS, P4CNN, RECORDED, SETTINGS, Setting
from gcnnbench.perf.report import Comparison
from gcnnbench.perf.timing import Work
from gcnnbench.rewriting.folded import for_scoring
from gcnnbench.rewriting.stacked import Streams, stack

SCALING: Mapping[str, tuple[Setting, ...]] = {
    "batch": tuple(replace(P4CNN, batch=batch) for batch in (16, 64, 256)),
    "planes": tuple(replace(P4CNN, batch=32, hyperparameters={"planes": planes}) for planes in (5, 10, 20)),
    "group order, 40 channels": (
        Setting("z2cnn", 28, 32, hyperparameters={"planes": 40}),
        Setting("p4cnn", 28, 32, hyperparameters={"planes": 10}),
        Setting("p4mcnn", 28, 32, hyperparameters={"planes": 5}),
    ),
    "input size": tuple(replace(P4CNN, size=size, batch=16) for size in (12, 28, 56)),
}
SEED_COUNTS = (2, 4, 8)
SEED_SETTINGS = (Setting("p4cnn", 28, 32, channels=1), Setting("p4cnn", 12, 32, channels=1))


def layers(bench: Bench) -> Iterator[Comparison]:
    """Single layers, forward and backward, against bare convolutions with leaf filter banks."""
    for name, group, in_group, channels, planes, size, stride in (
        ("p4 lifting 3→10, 3×3", P4, TRIVIAL, 3, 10, 28, 1),
        ("p4 convolution 10→10, 3×3", P4, P4, 10, 10, 28, 1),
        ("p4 convolution 10→10, 3×3, stride 2", P4, P4, 10, 10, 29, 2),
        ("p4m convolution 7→7, 3×3", P4M, P4M, 7, 7, 28, 1),
    ):
        conv = GroupConv(channels, planes, 3, group=group, in_group=in_group, stride=stride, padding=1).to(bench.device)
        made = {OURS: conv, FLOOR: _leaf(conv, torch.channels_last), NCHW: _leaf(conv, torch.contiguous_format)}
        shape = (128, channels * len(in_group), size, size)
        yield _layer_comparison(bench, f"{name}, {size}×{size}, batch 128", made, shape, lifted=in_group == TRIVIAL)
    for group, planes in ((P4, 10), (P4M, 7)):
        own = nn.BatchNorm2d(planes * len(group)).to(bench.device)
        made = {OURS: GroupBatchNorm(planes, group=group).to(bench.device), FLOOR: own, NCHW: own}
        title = f"{group.name} shared norm of {planes} channels, 28×28, batch 128"
        yield _layer_comparison(bench, title, made, (128, planes * len(group), 28, 28))
    dropouts = {OURS: Dropout(0.3), "nn.Dropout": nn.Dropout(0.3), "3×3 convolution beside it": _p4_conv(P4)}
    on_device = {name: layer.to(bench.device) for name, layer in dropouts.items()}
    title = "dropout, 40×28×28, batch 128"
    yield _layer_comparison(bench, title, on_device, (128, 40, 28, 28), reference="3×3 convolution beside it")


def training(bench: Bench) -> Iterator[Comparison]:
    """Whole networks, forward and backward, without optimiser and dropout."""
    for setting in SETTINGS:
        made, missing = networks.candidates(setting, bench.device)
        shown, labels = networks.images(setting, bench.device)
        steps: dict[str, Prepare] = {
            name: partial(networks.training_step, network, shown, labels) for name, network in made.items()
        }
        flops = networks.useful_flops(steps[FLOOR]())
        if (graph := networks.GRAPHS.get(bench.device.type)) is not None:
            steps[RECORDED] = partial(networks.recorded_step, made[OURS], shown, labels, graph)
        else:
            missing[RECORDED] = f"a {bench.device.type} has none"
        work = {name: prepare() for name, prepare in steps.items()}
        yield bench.compare(
            "training", setting.title, work, reference=NCHW, flops=flops, memory=steps, missing=missing, share=2
        )


@torch.inference_mode()
def evaluation(bench: Bench) -> Iterator[Comparison]:
    """Whole networks, as many images at once as are scored; the suite's as it scores, and as it is."""
    for setting in SETTINGS:
        with torch.inference_mode(False):  # a step is tried with those of other libraries
            made, missing = networks.candidates(setting, bench.device)
        scored = replace(setting, batch=scoring_batch(bench.device, setting.size))
        shown, _ = networks.images(scored, bench.device)
        unfolded = f"{OURS}, norms not folded"
        for network in made.values():
            network.eval()
        chosen = {OURS: for_scoring(made[OURS]), unfolded: made[OURS]}
        chosen |= {name: network for name, network in made.items() if name != OURS}
        scores: dict[str, Prepare] = {name: partial(_scoring, network, shown) for name, network in chosen.items()}
        with torch.inference_mode(False), torch.no_grad():
            flops = networks.useful_flops(scores[FLOOR]())
        work = {name: prepare() for name, prepare in scores.items()}
        yield bench.compare(
            "evaluation",
            scored.title,
            work,
            reference=NCHW,
            flops=flops,
            memory=scores,
            missing=missing,
            images=scored.batch,
        )


def _scoring(network: nn.Module, shown: Tensor) -> Work:
    """The forward pass."""
    return partial(network, shown)


def scaling(bench: Bench) -> Iterator[Comparison]:
    """Training over batch, channels, group order and input size, against the floor."""
    for along, settings in SCALING.items():
        for setting in settings:
            torch.manual_seed(0)
            network = setting.network()
            floor = networks.plain(network, torch.channels_last)
            shown, labels = networks.images(setting, bench.device)
            work: dict[str, Work] = {
                name: networks.training_step(made.to(bench.device), shown, labels)
                for name, made in ((OURS, network), (FLOOR, floor))
            }
            flops = networks.useful_flops(work[FLOOR])
            yield bench.compare("scaling", f"{along}: {setting.title}", work, reference=FLOOR, flops=flops, share=0.3)


def seeds(bench: Bench) -> Iterator[Comparison]:
    """Several seeds at once: grouped, under vmap, and on a GPU side by side, against one after another."""
    cuda = bench.device.type == "cuda"
    missing = {} if cuda else {SIDE_BY_SIDE: f"a {bench.device.type} has no graphs"}
    for setting in SEED_SETTINGS:
        for count in SEED_COUNTS:
            yield bench.compare(
                "seeds",
                f"{count} seeds of {setting.title}",
                _seed_work(setting, count, bench),
                reference=ALONE,
                missing=missing,
                share=0.3,
            )


ALONE, GROUPED, VMAPPED = "one after another", "grouped convolutions (--parallel)", "torch.func.vmap"
SIDE_BY_SIDE = "side by side (--parallel with --cuda-graphs)"


def _seed_work(setting: Setting, count: int, bench: Bench) -> dict[str, Work]:
    torch.manual_seed(0)
    alone = [setting.network().to(bench.device) for _ in range(count)]
    shown, labels = networks.images(setting, bench.device)
    steps = [networks.training_step(network, shown, labels) for network in alone]
    together = stack(alone, Streams(bench.device))
    together.train()
    each, all_labels = torch.cat([shown] * count, 1), labels.repeat_interleave(count)

    def grouped() -> None:
        together.zero_grad(set_to_none=True)
        logits = together(each).unflatten(1, (count, -1)).flatten(0, 1)
        (F.cross_entropy(logits, all_labels) * count).backward()

    plain = [_limit_in_training(network, torch.channels_last) for network in alone]
    parameters, buffers = torch.func.stack_module_state(plain)
    stacked = torch.stack([shown] * count)

    def loss(own: dict[str, Tensor], state: dict[str, Tensor], images: Tensor) -> Tensor:
        logits = torch.func.functional_call(plain[0], (own, state), (images,))
        return F.cross_entropy(logits, labels)

    def vmapped() -> None:
        for parameter in parameters.values():
            parameter.grad = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of operations without a batching rule, which are the point
            torch.func.vmap(loss)(parameters, buffers, stacked).sum().backward()

    work: dict[str, Work] = {ALONE: lambda: [step() for step in steps], GROUPED: grouped, VMAPPED: vmapped}
    if bench.device.type == "cuda":
        work[SIDE_BY_SIDE] = networks.recorded_steps(alone, shown, labels)
    return work


def _leaf(conv: GroupConv, layout: torch.memory_format) -> nn.Module:
    return _limit_in_training(nn.Sequential(conv), layout)


def _limit_in_training(network: nn.Module, layout: torch.memory_format) -> nn.Module:
    """The limit of `networks.plain`, as it is trained."""
    limit = networks.plain(network, layout)
    limit.train()
    return limit


def _p4_conv(group: Group) -> nn.Module:
    return _leaf(GroupConv(10, 10, 3, group=group, padding=1), torch.channels_last)


def _layer_comparison(
    bench: Bench,
    title: str,
    made: Mapping[str, nn.Module],
    shape: tuple[int, int, int, int],
    *,
    reference: str = FLOOR,
    lifted: bool = False,
) -> Comparison:
    """Forward and backward through single layers; images as such are not differentiated."""

    def passes(layer: nn.Module, layout: torch.memory_format) -> Work:
        features = torch.rand(shape, device=bench.device).contiguous(memory_format=layout).requires_grad_(not lifted)
        grad = torch.ones_like(layer(features))

        def work() -> None:
            layer.zero_grad(set_to_none=True)
            features.grad = None
            layer(features).backward(grad)

        return work

    layouts = {NCHW: torch.contiguous_format}
    work = {name: passes(layer, layouts.get(name, torch.channels_last)) for name, layer in made.items()}
    return bench.compare("layers", title, work, reference=reference, share=0.3)
