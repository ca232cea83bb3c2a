"""What a machine can compare of a source's protocol with ours: first weights, layers, parameters and learning rates."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

from gcnnbench.architectures.initialisation import he_normal
from gcnnbench.cards.base import split_entry
from gcnnbench.cards.registry import Registry
from gcnnbench.claims.protocol_networks import FirstWeights, OwnEntry, PublishedNetwork
from gcnnbench.claims.protocol_tables import ProtocolTable, read_protocols
from gcnnbench.claims.quantities import COUNTS, rounds_to
from gcnnbench.nn.bank import BankConv
from gcnnbench.training.optimisers import every_batch, schedule_for
from gcnnbench.training.phases import phases
from tests.network_readings import departure, departures, layers

REGISTRY = Registry.load()
CARDS = read_protocols(REGISTRY)
TABLES = [table for card in CARDS for table in card.tables if table.not_followed is None]
CASES = [
    pytest.param(table, network, entry, id=f"{table.benchmarks[0]}-{entry}")
    for table in TABLES
    for network in table.networks
    for entry in network.entries
]
OWN = [
    pytest.param(own, id=f"{table.benchmarks[0]}-{own.entry}")
    for table in TABLES
    for own in table.own_entries
    if own.not_compared is None
]


def built(table: ProtocolTable, entry: str, like: str | None = None) -> nn.Module:
    """An entry's network as a benchmark of the table builds it, or builds the entry that it is like."""
    listed = like or entry
    (card, *_) = (REGISTRY.benchmarks[name] for name in table.benchmarks if listed in REGISTRY.benchmarks[name].entries)
    torch.manual_seed(0)
    return REGISTRY.build(entry, card)


def derived_from(own: OwnEntry) -> tuple[ProtocolTable, PublishedNetwork]:
    """The table and the network of a source that an entry of our own derives from."""
    ((table, network),) = (
        (table, network)
        for card in CARDS
        if card.source == own.source
        for table in card.tables
        for network in table.networks
        if own.like in network.entries
    )
    return table, network


def rules(network: PublishedNetwork) -> dict[str, FirstWeights]:
    """How the suite draws: as the source does, but where it says otherwise."""
    return {str(kind): rule for kind, rule in (network.first_weights | network.deviates).items()}


def written(network: PublishedNetwork, *changes: dict[str, tuple[str, ...]]) -> list[str]:
    """A network's layers one by one, some of them replaced."""
    found = [layer for part in network.layers for layer in part.times * part.of]
    for change in changes:
        found = replaced(found, {tuple(run.split(", ")): new for run, new in change.items()})
    return found


def replaced(found: list[str], change: dict[tuple[str, ...], tuple[str, ...]]) -> list[str]:
    """Layers with each run of some of them replaced by others."""
    made, used, at = list[str](), set[tuple[str, ...]](), 0
    while at < len(found):
        run = next((run for run in change if tuple(found[at : at + len(run)]) == run), (found[at],))
        made += change.get(run, run)
        used |= {run} & change.keys()
        at += len(run)
    assert used == change.keys(), "what is replaced is there"
    return made


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("table", "network", "entry"), CASES)
def test_first_weights_are_drawn_by_the_sources_formula(
    table: ProtocolTable, network: PublishedNetwork, entry: str
) -> None:
    assert departures(rules(network), built(table, entry)) == []
    if network.deviates:
        assert any("irst weights" in text for text in REGISTRY.model(split_entry(entry)[0]).deviations), entry


@pytest.mark.parametrize(("table", "network", "entry"), CASES)
def test_layers_stand_in_the_sources_order(table: ProtocolTable, network: PublishedNetwork, entry: str) -> None:
    assert list(layers(built(table, entry))) == written(network, network.instead)


@pytest.mark.parametrize(("table", "network", "entry"), CASES)
def test_parameters_are_as_many_as_published(table: ProtocolTable, network: PublishedNetwork, entry: str) -> None:
    if network.parameters is None:
        assert network.parameters_unknown
        return
    digits = len(str(network.parameters).rstrip("0").partition(".")[2])
    number = count(built(table, entry))
    assert rounds_to(number / COUNTS[network.parameters_in], network.parameters, digits), number


@pytest.mark.parametrize("own", OWN)
def test_entries_of_our_own_begin_as_the_network_that_they_derive_from(own: OwnEntry) -> None:
    table, network = derived_from(own)
    assert departures(rules(network), built(table, own.entry, own.like)) == []


@pytest.mark.parametrize("own", OWN)
def test_entries_of_our_own_have_the_layers_and_parameters_that_they_say(own: OwnEntry) -> None:
    assert own.like is not None
    table, network = derived_from(own)
    made = built(table, own.entry, own.like)
    assert list(layers(made)) == written(network, network.instead, own.instead)
    assert count(made) == (own.parameters or count(built(table, own.like)))


@pytest.mark.parametrize("table", TABLES, ids=[table.benchmarks[0] for table in TABLES])
def test_learning_rates_are_the_sources_in_every_epoch(table: ProtocolTable) -> None:
    rates = {rate.epoch: rate.rate for rate in table.rates}
    for name in table.benchmarks:
        (phase,) = phases(REGISTRY.benchmarks[name].recipe)
        optimiser = SGD([nn.Parameter(torch.zeros(1))], lr=phase.optimiser.learning_rate)
        schedule, found = schedule_for(optimiser, phase, table.steps_per_epoch), []
        for _ in range(phase.epochs):
            found.append(optimiser.param_groups[0]["lr"])
            for _ in range(table.steps_per_epoch if every_batch(phase) else 1):
                optimiser.step()
                schedule.step()
        told = [rates[max(first for first in rates if first <= epoch)] for epoch in range(1, phase.epochs + 1)]
        assert found == pytest.approx(told, rel=5e-3), name


def test_a_run_of_layers_is_replaced_where_it_stands() -> None:
    change = {("a", "b"): ("x",), ("c",): ("c", "y")}
    assert replaced(["a", "b", "a", "c", "b"], change) == ["x", "a", "c", "y", "b"]
    with pytest.raises(AssertionError, match="what is replaced is there"):
        replaced(["a", "c", "b"], change)


def test_what_no_source_says_is_listed() -> None:
    """The comparisons that cannot be made, or that hold by an assumption; a new one is entered here on purpose."""
    unknown = {
        entry
        for table in TABLES
        for network in table.networks
        for entry in network.entries
        if network.parameters is None
    }
    assert unknown == {"z2-densenet@96", "p4-densenet@96", "p4m-densenet@96"}
    assert {own.entry for table in TABLES for own in table.own_entries if own.not_compared} == {
        "c16cnn-e2cnn@28",
        "c4-wrn16-8-e2cnn@33",
        "c4-wrn16-8-e2cnn@32",
        "c8-wrn16-8-e2cnn@33",
        "c8-wrn16-8-e2cnn@32",
    }
    assert {name: table.rates_assumed for table in TABLES for name in table.benchmarks if table.rates_assumed} == {
        "cifar10-cohen": "schedule",
        "cifar10-cohen-allcnn": "schedule",
        "pcam-veeling": "schedule",
        "pcam-veeling-turned": "schedule",
    }


def test_version_1_of_p4cnn_and_of_its_relative_are_convicted_by_their_first_weights() -> None:
    (table,) = (table for table in TABLES if "mnist-upright" in table.benchmarks)
    for entry in ("p4cnn@28", "p4cnn-subsample@27"):
        network = built(table, entry)
        for module in network.modules():
            if isinstance(module, BankConv):
                module.reset_parameters()  # as version 1 was left: the group stood in the fan-in
        told = departures(rules(table.networks[0]), network)
        assert [line.partition(":")[0] for line in told] == [
            *(f"conv{number}.weight" for number in range(2, 8)),
            "biases of all convolutions",
        ], "all but the lifting and the linear layer"
        assert told[0].startswith("conv2.weight: up to 0.05"), "half of 0.105"


@pytest.mark.parametrize("entry", ["z2-densenet@96", "p4-densenet@96", "p4m-densenet@96"])
def test_version_1_of_a_densenet_is_convicted_by_every_layer(entry: str) -> None:
    ((table, network),) = ((table, one) for table in TABLES for one in table.networks if entry in one.entries)
    found = departures(rules(network), built(table, entry).apply(he_normal))  # as version 1 was drawn
    convolutions = ["conv.weight", *(f"dense{number}.branch.conv.weight" for number in range(1, 6))]
    convolutions += [f"transition{number}.conv.weight" for number in range(1, 5)]
    assert {line.partition(":")[0] for line in found} == {*convolutions, "linear.weight"}


def test_a_last_bias_with_a_rule_of_its_own_is_held_to_it() -> None:
    ((table, network),) = (
        (table, one) for table in TABLES for one in table.networks if "p4-densenet@96" in one.entries
    )
    made = built(table, "p4-densenet@96")
    nn.init.constant_(made.get_parameter("linear.bias"), 0.01)
    assert departures(rules(network), made) == ["linear.bias: not zero but up to 0.0100"]


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
    cut = FirstWeights(draw="truncated-normal", scale="√(2/fan-in)")
    assert departure(drawn(lambda x: nn.init.trunc_normal_(x, a=-2, b=2)), cut, 1.0) == ""
    assert departure(drawn(lambda x: nn.init.trunc_normal_(x, std=1.137, a=-2.27, b=2.27)), cut, 1.0), "made up for"
    assert departure(drawn(lambda x: nn.init.trunc_normal_(x, a=-1.8, b=1.8)), cut, 1.0)
    assert departure(drawn(lambda x: x.normal_(0, 0.88)), cut, 1.0)
    assert departure(drawn(lambda x: x.uniform_(-1.52, 1.52)), cut, 1.0)
    assert departure(torch.tensor([0.0, 1e-9]), FirstWeights(draw="zero"), 0.0)


def test_filters_that_do_not_pass_their_channel_on_are_seen() -> None:
    rule = FirstWeights(draw="uniform", scale="1/√fan-in", identity=True)
    torch.manual_seed(0)
    network = REGISTRY.build("p4-air@33", REGISTRY.benchmarks["cifar10-air"])
    stem = FirstWeights(draw="uniform", scale="1/√fan-in")
    all_rules = {"stem": stem, "convolution": rule, "bias": stem, "linear": stem}
    assert departures(all_rules, network) == []
    conv = network.get_submodule("conv2b")
    assert isinstance(conv, BankConv)
    with torch.no_grad():
        conv.weight[0] = conv.weight[1]
    assert departures(all_rules, network) == ["conv2b.weight: filter 0 does not pass channel 0 on"]
