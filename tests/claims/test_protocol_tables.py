"""The protocol tables: complete, looked up, and what a machine can compare compared for every entry of every source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import sqrt
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

from gcnnbench.architectures.dense import Dense
from gcnnbench.architectures.residual import Residual
from gcnnbench.cards.base import split_entry
from gcnnbench.cards.reading import CardsError
from gcnnbench.cards.registry import Registry
from gcnnbench.claims.protocol_tables import (
    FOLDER,
    FirstWeights,
    Item,
    ProtocolTable,
    PublishedNetwork,
    read_protocols,
    tables_of,
)
from gcnnbench.claims.quantities import COUNTS, rounds_to
from gcnnbench.claims.reading import read_claims
from gcnnbench.cli.card_background import background_of
from gcnnbench.cli.cards import describe
from gcnnbench.nn.bank import BankConv
from gcnnbench.nn.dropout import Dropout
from gcnnbench.nn.groups import TRIVIAL
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.nn.pooling import CosetPool, GlobalMaxPool
from gcnnbench.nn.separable import SeparableGroupConv
from gcnnbench.training.optimisers import schedule_for
from gcnnbench.training.phases import phases

REGISTRY = Registry.load()
CARDS = read_protocols(REGISTRY)
TABLES = [table for card in CARDS for table in card.tables]
CASES = [
    pytest.param(table, network, entry, id=f"{table.benchmarks[0]}-{entry}")
    for table in TABLES
    for network in table.networks
    for entry in network.entries
]


def built(table: ProtocolTable, entry: str) -> nn.Module:
    """An entry's network as a benchmark of the table builds it."""
    (card, *_) = (REGISTRY.benchmarks[name] for name in table.benchmarks if entry in REGISTRY.benchmarks[name].entries)
    torch.manual_seed(0)
    return REGISTRY.build(entry, card)


def layers(module: nn.Module, prefix: str = "") -> Iterator[str]:
    """A network's layers in order, in the words of `PublishedNetwork`."""
    if isinstance(module, BankConv | SeparableGroupConv):
        stride, padding = module.stride, module.padding
        strided, padded = f" s{stride}" if stride > 1 else "", f" p{padding}" if padding else ""
        yield f"{prefix}conv {module.kernel_size}{strided}{padded}"
    elif isinstance(module, GroupBatchNorm):
        yield f"{prefix}norm"
    elif isinstance(module, Dropout):
        yield f"{prefix}dropout {module.p:g}"
    elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        yield f"{prefix}{'max' if isinstance(module, nn.MaxPool2d) else 'average'}-pool {module.kernel_size}"
    elif isinstance(module, CosetPool):
        yield from [] if module.group == TRIVIAL else [f"{prefix}coset {module.how}"]
    elif isinstance(module, Residual):
        yield from layers(module.branch, f"{prefix}branch ")
        yield from layers(module.shortcut, f"{prefix}shortcut ")
    elif isinstance(module, Dense):
        yield from layers(module.branch, f"{prefix}dense ")
    elif isinstance(module, nn.Sequential):
        for child in module:
            yield from layers(child, prefix)
    elif not isinstance(module, nn.Flatten | nn.Identity):
        words = {"ReLU": "relu", "AdaptiveAvgPool2d": "mean", "Linear": "linear"}
        yield prefix + ("max" if isinstance(module, GlobalMaxPool) else words[type(module).__name__])


Drawn = BankConv | SeparableGroupConv | nn.Linear


def scale(rule: FirstWeights, module: Drawn) -> float:
    """The bound or deviation that a formula gives for one layer."""
    if isinstance(rule.scale, float):
        return rule.scale
    if isinstance(module, nn.Linear):
        outs, k2, ins, fan_in = module.out_features, 1, module.in_features, module.in_features
    else:
        outs, k2, ins = module.out_channels, module.kernel_size**2, module.in_channels
        in_group = module.in_group if isinstance(module, BankConv) else module.group
        fan_in = ins * len(in_group) * k2
    formulas: dict[str | None, float] = {
        "1/√(in·k²)": 1 / sqrt(ins * k2),
        "1/√fan-in": 1 / sqrt(fan_in),
        "√(2/(out·k²))": sqrt(2 / (outs * k2)),
        "√(2/fan-in)": sqrt(2 / fan_in),
        "√(6/(in+out))": sqrt(6 / (ins + outs)),
        None: 0.0,
    }
    return formulas[rule.scale]


def departures(rules: dict[str, FirstWeights], network: nn.Module) -> list[str]:
    """The parameters of convolutions and linear layers that are not drawn as the rules say."""
    found, biases = [], []
    for name, module in network.named_modules():
        if not isinstance(module, Drawn):
            continue
        kind = "linear" if isinstance(module, nn.Linear) else "convolution"
        for own, parameter in module.named_parameters(recurse=False):
            bias = own == "bias" and kind == "convolution"
            rule = rules["bias" if bias else kind]
            if own == "bias" and kind == "linear" and rule.draw != "uniform":
                rule = FirstWeights(draw="zero")
            values, size = parameter.detach().flatten(), scale(rule, module)
            if told := departure(values, rule, size):
                found.append(f"{name}.{own}: {told}")
            if bias and size:
                biases.append(values / size)
    if biases and (told := departure(torch.cat(biases), rules["bias"], 1.0)):
        found.append(f"biases of all convolutions: {told}")  # those of one layer are too few to tell
    return found


def departure(values: Tensor, rule: FirstWeights, size: float) -> str:
    """How some numbers cannot be a draw of this distribution; empty where they can be."""
    count, largest = len(values), float(values.abs().max())
    if rule.draw == "zero":
        return "" if largest == 0 else f"not zero but up to {largest:.4f}"
    if rule.draw == "uniform":
        # The largest of n falls below 1 − 12/n with probability e⁻¹²; the mean size is half the bound.
        within = size * (1 - 12 / count) <= largest <= size * (1 + 1e-6)
        centred = abs(float(values.abs().mean()) / size - 0.5) <= 5 / sqrt(12 * count)
        return "" if within and centred else f"up to {largest:.4f}, not uniform in ±{size:.4f}"
    deviation = float(values.square().mean().sqrt())
    within = abs(deviation / size - 1) <= 5 / sqrt(2 * count)
    normal = count < 200 or largest > 2.0 * size
    return "" if within and normal else f"deviation {deviation:.4f}, largest {largest:.4f}; not normal with {size:.4f}"


@pytest.mark.parametrize(("table", "network", "entry"), CASES)
def test_first_weights_are_drawn_by_the_sources_formula(
    table: ProtocolTable, network: PublishedNetwork, entry: str
) -> None:
    made = built(table, entry)
    rules = {str(kind): rule for kind, rule in network.first_weights.items()}
    assert departures(rules | {str(kind): rule for kind, rule in network.deviates.items()}, made) == []
    if network.deviates:
        assert any("irst weights" in text for text in REGISTRY.model(split_entry(entry)[0]).deviations), entry


@pytest.mark.parametrize(("table", "network", "entry"), CASES)
def test_layers_stand_in_the_sources_order(table: ProtocolTable, network: PublishedNetwork, entry: str) -> None:
    assert list(layers(built(table, entry))) == [layer for part in network.layers for layer in part.times * part.of]


@pytest.mark.parametrize(("table", "network", "entry"), CASES)
def test_parameters_are_as_many_as_published(table: ProtocolTable, network: PublishedNetwork, entry: str) -> None:
    count = sum(parameter.numel() for parameter in built(table, entry).parameters())
    digits = len(str(network.parameters).rstrip("0").partition(".")[2])
    assert not network.parameters or rounds_to(count / COUNTS[network.parameters_in], network.parameters, digits), count


@pytest.mark.parametrize("table", TABLES, ids=[table.benchmarks[0] for table in TABLES])
def test_learning_rates_are_the_sources_in_every_epoch(table: ProtocolTable) -> None:
    for name in table.benchmarks:
        (phase,) = phases(REGISTRY.benchmarks[name].recipe)
        optimiser = SGD([nn.Parameter(torch.zeros(1))], lr=phase.optimiser.learning_rate)
        schedule, found = schedule_for(optimiser, phase, 1), []
        for _ in range(phase.epochs):
            found.append(optimiser.param_groups[0]["lr"])
            optimiser.step()
            schedule.step()
        if not table.rates:
            assert any(line.item == "schedule" and line.assumption for line in table.lines_of(name)), name
            continue
        rates = {rate.epoch: rate.rate for rate in table.rates}
        told = [rates[max(first for first in rates if first <= epoch)] for epoch in range(1, phase.epochs + 1)]
        assert found == pytest.approx(told)


def test_version_1_of_p4cnn_is_convicted_by_its_first_weights() -> None:
    (table,) = (table for table in TABLES if "mnist-upright" in table.benchmarks)
    network = built(table, "p4cnn@28")
    rules = {str(kind): rule for kind, rule in table.networks[0].first_weights.items()}
    for module in network.modules():
        if isinstance(module, BankConv):
            module.reset_parameters()  # as version 1 was left: the group stood in the fan-in
    told = departures(rules, network)
    assert [line.partition(":")[0] for line in told] == [
        *(f"conv{number}.weight" for number in range(2, 8)),
        "biases of all convolutions",
    ], "all but the lifting and the linear layer"
    assert told[0].startswith("conv2.weight: up to 0.05"), "half of 0.105"


def drawn(draw: Callable[[Tensor], object]) -> Tensor:
    torch.manual_seed(1)
    values = torch.empty(2000)
    draw(values)
    return values


def test_a_departure_is_seen_in_scale_and_in_shape() -> None:
    uniform = FirstWeights(draw="uniform", scale="1/√fan-in")
    normal = FirstWeights(draw="normal", scale="√(2/fan-in)")
    assert departure(drawn(lambda x: x.uniform_(-1, 1)), uniform, 1.0) == ""
    assert departure(drawn(lambda x: x.uniform_(-0.9, 0.9)), uniform, 1.0)
    assert departure(drawn(lambda x: x.normal_(0, 0.3)), uniform, 1.0)
    assert departure(drawn(lambda x: x.normal_(0, 1)), normal, 1.0) == ""
    assert departure(drawn(lambda x: x.normal_(0, 1.2)), normal, 1.0)
    assert departure(drawn(lambda x: x.uniform_(-sqrt(3), sqrt(3))), normal, 1.0)
    assert departure(torch.tensor([0.0, 1e-9]), FirstWeights(draw="zero"), 0.0)


def test_every_source_whose_claims_are_covered_has_its_table() -> None:
    for source in read_claims(REGISTRY):
        tables = {name for card in CARDS if card.source == source.source for t in card.tables for name in t.benchmarks}
        compared = {claim.benchmark for claim in source.claims if claim.benchmark and not claim.differs}
        assert compared <= tables, source.source


def changed(folder: Path, *changes: tuple[str, str]) -> None:
    """A copy of the registry's tables with something of one replaced."""
    for path in FOLDER.glob("*.yaml"):
        text = path.read_text("utf-8")
        for old, new in changes:
            text = text.replace(old, new, 1)
        (folder / path.name).write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "assumption: swapped-parts",
            "assumption: swaped-parts",
            "no assumption 'swaped-parts'; did you mean swapped-p",
        ),
        ("        assumption: numeric-mode\n", "", "numeric-mode has no evidence, so it is an assumption"),
        ("- item: loss", "- item: data", "must have one line each, in this order: data, resampling"),
        (
            "own_entries: [p4cnn-subsample@27]",
            "own_entries: []",
            "p4cnn-subsample@27 is neither a network of the source",
        ),
        ('evidence: "TF', 'evidence: "the README of TF', "cannot be looked up"),
        (
            "benchmarks: [cifar10, cifar10-plus]",
            "benchmarks: [cifar10, cifar10-pluss]",
            "pluss must have one line each",
        ),
        ("benchmarks: [cifar10-cohen]", "benchmarks: [cifar10-cohn]", "there is no benchmark 'cifar10-cohn'"),
    ],
)
def test_mistakes_in_a_table_are_named_with_their_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    changed(tmp_path, (old, new))
    with pytest.raises(CardsError, match=r"\.yaml:\d+:\d+:") as caught:
        read_protocols(REGISTRY, tmp_path)
    assert told in str(caught.value)


def test_show_prints_the_lines_of_a_benchmark(tmp_path: Path) -> None:
    known = background_of(REGISTRY, REGISTRY.benchmarks["mnist-uniform"], tmp_path)
    assert [line.item for line in known.protocol] == list(get_args(Item))
    text = " ".join(describe(REGISTRY, "benchmark", REGISTRY.benchmarks["mnist-uniform"], known).split())
    assert "- numeric-mode (edixhoven2023): not said" in text
    assert (
        "here: one angle a batch, uniform, bilinear, after the batch is drawn; black corners; known from TFed" in text
    )
    assert background_of(REGISTRY, REGISTRY.benchmarks["quickstart"], tmp_path).protocol == ()
    assert [source for source, _ in tables_of(CARDS, "cifar10-plus")] == ["lengyel2021"]
