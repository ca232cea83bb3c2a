"""Every entry of models/: what its card says of parameters, shapes, depths and exactness is what its network does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.errors import UserError
from gcnnbench.nn.bank import BankConv
from gcnnbench.nn.fields import Field, Invariant
from gcnnbench.nn.groups import P4, P4M, Element, Group
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.nn.separable import SeparableGroupConv
from gcnnbench.scoring.macs import forward_macs
from tests.models.entries import CARDS, NAMES, PATHS, WRAPPERS, built, smallest

GROUPS: dict[str, Group] = {"p4": P4, "p4m": P4M, "C4": P4, "C8": P4, "C16": P4}
GENERATORS = (Element(turns=1), Element(mirrored=1))
CLAIMS = [(name, size) for name, card in CARDS.items() for size in (*card.exact_at, *card.approximate_at)]


def randomise(network: nn.Module) -> nn.Module:
    """Parameters and running statistics away from where they start, where most faults hide."""
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            noise = torch.randn(parameter.shape, generator=random, dtype=parameter.dtype)
            parameter.add_(noise, alpha=0.3 * float(parameter.std(correction=0)) + 0.1)
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
def test_multiply_accumulates_are_those_of_the_card(name: str) -> None:
    said = CARDS[name].parameters[0]
    turns = any(word in name for word in ("augerino", "averaged", "turned"))  # angles have values, which meta has not
    with torch.device("cpu" if CARDS[name].requires or turns else "meta"), torch.no_grad():
        network = built(name, said.size, said.channels, said.classes, whole=True).float().eval()
        assert forward_macs(network, torch.zeros(1, said.channels, said.size, said.size)) == said.macs


@pytest.mark.parametrize("name", NAMES)
def test_parameter_counts_are_those_of_the_card(name: str) -> None:
    for said in CARDS[name].parameters:
        with torch.device("cpu" if CARDS[name].requires else "meta"):  # a count needs no weights; e2cnn does
            network = built(name, said.size, said.channels, said.classes, whole=True)
        assert sum(parameter.numel() for parameter in network.parameters()) == said.count
        assert said.published in (None, said.count)


def test_the_published_counts_are_among_them() -> None:
    assert {said.published for said in CARDS["p4cnn"].parameters} >= {24_990}
    assert {said.published for said in CARDS["z2cnn"].parameters} >= {25_570}
    assert {said.published for said in CARDS["gc-p4m-resnet44"].parameters} >= {1_884_270}


MILLIONS = {
    "z2-allcnn": 1.37,
    "p4-allcnn": 1.37,
    "p4m-allcnn": 1.22,
    "z2-resnet44-cohen": 2.64,
    "p4m-resnet44-cohen": 2.62,
    "z2-resnet26-cohen": 7.24,
    "p4m-resnet26-cohen": 7.17,
    "z2-resnet44-lengyel": 2.64,
    "p4m-resnet44-lengyel": 2.62,
    "g-p4m-resnet44": 1.78,
    "gc-p4m-resnet44": 1.88,
}
"""Parameters as the tables of Cohen & Welling and of Lengyel & van Gemert have them, for 10 classes."""


@pytest.mark.parametrize("name", MILLIONS)
def test_counts_are_the_published_ones_as_far_as_these_are_given(name: str) -> None:
    assert round(CARDS[name].parameters[0].count / 1e6, 2) == MILLIONS[name]
    assert f"{MILLIONS[name]:.2f} M parameters" in str(CARDS[name].sources[0].where)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WRAPPERS])
def test_depths_name_layers_that_say_how_they_transform(name: str) -> None:
    network = built(name, max(16, smallest(name)))
    depths = network.depths
    assert isinstance(depths, tuple)
    assert len(depths) >= 4
    children = dict(network.named_children())
    assert list(depths) == [child for child in children if child in depths], "in the order in which they run"
    for child_name, child in children.items():
        assert isinstance(getattr(child, "field", None), Field), child_name
    assert list(children.values())[-1].field == Invariant()


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
    given = network(images)
    upright, inner, outer = dict(kept), 0.0, 0.0
    assert all(float(features.std()) > 1e-2 for features in upright.values()), "dead features prove nothing"
    assert float(given.std(0).max()) > 1e-4, "logits that ignore the image prove nothing"
    for g in [g for g in GENERATORS if g in GROUPS[CARDS[name].group]]:
        logits = network(g.act(images))
        outer = max(outer, float((logits - given).abs().max() / given.std()))
        for depth, features in upright.items():
            if (field := getattr(getattr(network, depth), "field", None)) is not None:
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


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_size_works_and_smaller_ones_are_refused(name: str) -> None:
    size = smallest(name)
    assert built(name, size).eval()(torch.rand(2, 3, size, size).double()).shape == (2, 10)
    with pytest.raises(UserError, match=rf"size \(={size - 1}\) must be at least {size}"):
        built(name, size - 1)


def test_the_smallest_sizes_are_those_that_the_layers_leave() -> None:
    assert [smallest(name) for name in ("p4cnn", "p4cnn-subsample", "p4-resnet44", "p4-resnet18")] == [8, 7, 3, 5]


@pytest.mark.parametrize("name", [name for name in NAMES if "e2cnn" not in name])
def test_features_are_channels_last_from_birth(name: str) -> None:
    size = max(16, smallest(name))
    network, seen = built(name, size).float(), []

    def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append(output.is_contiguous(memory_format=torch.channels_last))

    kinds = (BankConv, SeparableGroupConv, GroupBatchNorm, nn.ReLU, nn.GELU)
    layers = [module for module in network.modules() if isinstance(module, kinds)]
    for layer in layers:
        layer.register_forward_hook(hook)
    network(torch.rand(2, 3, size, size))
    normed = any(isinstance(layer, GroupBatchNorm) for layer in layers)
    assert len(seen) == len(layers) >= (18 if normed else 14)
    assert all(seen)
