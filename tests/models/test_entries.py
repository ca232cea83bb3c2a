"""Every entry of models/: what its card says of parameters, shapes, depths and exactness is what its network does."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from benchmark.cards.reading import read_card
from benchmark.cards.schema import ModelCard
from benchmark.cards.shelf import registered_cards
from benchmark.errors import UserError
from benchmark.nn.fields import Field, Invariant
from benchmark.nn.groups import P4, P4M, Element, Group

PATHS = [path for kind, path in registered_cards() if kind == "model"]
CARDS = {path.parent.name: read_card(path, ModelCard) for path in sorted(PATHS)}
NAMES = list(CARDS)
GROUPS: dict[str, Group] = {"p4": P4, "p4m": P4M, "C4": P4, "C8": P4}
GENERATORS = (Element(turns=1), Element(mirrored=1))
CLAIMS = [(name, size) for name, card in CARDS.items() for size in (*card.exact_at, *card.approximate_at)]


def built(name: str, size: int, channels: int = 3, classes: int = 10) -> nn.Module:
    """The network of a card in float64, from a fixed seed."""
    build: Callable[..., nn.Module] = import_module(f"benchmark.models.{name}.model").build
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return build(size=size, channels=channels, classes=classes, **CARDS[name].hyperparameters).double()


def randomise(network: nn.Module) -> nn.Module:
    """Parameters and running statistics away from where they start, where most faults hide."""
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            noise = torch.randn(parameter.shape, generator=random, dtype=parameter.dtype)
            parameter.add_(noise, alpha=0.3 * float(parameter.std()) + 0.1)
        for name, buffer in network.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.copy_(torch.rand(buffer.shape, generator=random, dtype=buffer.dtype) * 0.1 + 0.02)
    return network


def test_the_sweep_is_the_directory() -> None:
    folder = PATHS[0].parents[1]
    assert sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__") == NAMES
    assert {"p4cnn", "z2cnn", "p4mcnn", "c4cnn-e2cnn", "c8cnn-e2cnn", "p4cnn-subsample"} <= set(NAMES)
    for name in NAMES:
        assert {path.name for path in (folder / name).iterdir() if path.is_file()} == {"model.py", "model.yaml"}
        assert CARDS[name].name == name


@pytest.mark.parametrize("name", NAMES)
def test_parameter_counts_are_those_of_the_card(name: str) -> None:
    for said in CARDS[name].parameters:
        network = built(name, said.size, said.channels, said.classes)
        assert sum(parameter.numel() for parameter in network.parameters()) == said.count
        assert said.published in (None, said.count)


def test_the_published_counts_are_among_them() -> None:
    assert {said.published for said in CARDS["p4cnn"].parameters} >= {24_990}
    assert {said.published for said in CARDS["z2cnn"].parameters} >= {25_570}


@pytest.mark.parametrize("name", NAMES)
def test_forward_and_backward_reach_every_parameter(name: str) -> None:
    network = built(name, 16, channels=1, classes=7).float()
    images = torch.rand(8, 1, 16, 16)
    logits: Tensor = network(images)
    assert logits.shape == (8, 7)
    nn.functional.cross_entropy(logits, torch.arange(8) % 7).backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        if not (parameter_name.startswith("conv") and parameter_name.endswith("bias")):  # the norm takes it away
            assert parameter.grad.abs().max() > 1e-8, parameter_name


@pytest.mark.parametrize("name", NAMES)
def test_depths_name_layers_that_say_how_they_transform(name: str) -> None:
    network = built(name, 16)
    depths = network.depths
    assert isinstance(depths, tuple)
    assert 7 <= len(depths) <= 9
    children = dict(network.named_children())
    assert list(depths) == [child for child in children if child in depths], "in the order in which they run"
    for child_name, child in children.items():
        assert isinstance(getattr(child, "field", None), Field), child_name
    assert children["linear"].field == Invariant()


@torch.no_grad()
def errors(name: str, size: int) -> tuple[float, float]:
    """The largest relative error |g f(x) − f(g x)| at the depths and at the logits, under the group's generators."""
    network = randomise(built(name, size)).eval()
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(3)).double()
    kept: dict[str, Tensor] = {}

    def keep(depth: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            kept[depth] = output.clone()

        return hook

    for depth, child in network.named_children():
        child.register_forward_hook(keep(depth))
    network(images)
    upright, inner, outer = dict(kept), 0.0, 0.0
    assert all(float(features.std()) > 1e-2 for features in upright.values()), "dead features prove nothing"
    assert float(upright["linear"].std(0).min()) > 1e-4, "logits that ignore the image prove nothing"
    for g in [g for g in GENERATORS if g in GROUPS[CARDS[name].group]]:
        logits = network(g.act(images))
        outer = max(outer, float((logits - upright["linear"]).abs().max() / upright["linear"].std()))
        for depth, features in upright.items():
            field = getattr(network, depth).field
            inner = max(inner, float((field.act(features, g) - kept[depth]).abs().max() / features.std()))
    return inner, outer


@pytest.mark.parametrize(("name", "size"), CLAIMS)
def test_is_exact_where_the_card_says_so_and_only_there(name: str, size: int) -> None:
    inner, outer = errors(name, size)
    if size in CARDS[name].exact_at:
        assert inner < 1e-11
        assert outer < 1e-11
    else:
        assert inner > 1e-3
        assert outer > 1e-3


@pytest.mark.parametrize("size", range(24, 34))
def test_the_subsampling_network_is_exact_at_every_size(size: int) -> None:
    assert max(errors("p4cnn-subsample", size)) < 1e-11


def test_the_subsampling_network_is_the_p4cnn_at_even_sizes() -> None:
    images = torch.rand(2, 3, 28, 28).double()
    one, other = built("p4cnn", 28).eval(), built("p4cnn-subsample", 28).eval()
    assert torch.equal(one(images), other(images))


def test_the_order_of_the_group_is_not_lost() -> None:
    network = built("z2cnn", 28).eval()
    images = torch.rand(2, 3, 28, 28).double()
    assert (network(images) - network(images.rot90(1, (2, 3)))).abs().max() > 1e-6


@pytest.mark.parametrize(("name", "size"), list(product(NAMES, [3, 6])))
def test_a_size_that_is_too_small_is_refused(name: str, size: int) -> None:
    with pytest.raises(UserError, match=rf"size \(={size}\) must be at least"):
        built(name, size)


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_size_works(name: str) -> None:
    size = 7 if name == "p4cnn-subsample" else 8
    assert built(name, size).eval()(torch.rand(2, 3, size, size).double()).shape == (2, 10)


@pytest.mark.parametrize("name", NAMES)
def test_initialisation_repeats(name: str) -> None:
    one, other = built(name, 16).state_dict(), built(name, 16).state_dict()
    assert list(one) == list(other)
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", NAMES)
def test_training_repeats_to_the_bit(name: str) -> None:
    states = []
    for _ in range(2):
        network = built(name, 17).float()
        optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(4)
            for _ in range(3):
                images, labels = torch.rand(8, 3, 17, 17), torch.randint(10, (8,))
                optimiser.zero_grad()
                nn.functional.cross_entropy(network(images), labels).backward()
                optimiser.step()
        states.append(network.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("name", [name for name in NAMES if "e2cnn" not in name])
def test_features_are_channels_last_from_birth(name: str) -> None:
    network, seen = built(name, 16).float(), []

    def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append(output.is_contiguous(memory_format=torch.channels_last))

    for depth, child in network.named_children():
        if depth.startswith(("conv", "norm", "relu", "dropout", "pool")):
            child.register_forward_hook(hook)
    network(torch.rand(2, 3, 16, 16))
    assert len(seen) == 26
    assert all(seen)
