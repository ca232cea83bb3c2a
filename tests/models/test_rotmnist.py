"""The networks for rotated MNIST and PCam are those of their papers: layers, sizes, counts and first weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.architectures.initialisation import lecun_normal, sepgroupy
from gcnnbench.architectures.rotmnist import separable_block
from gcnnbench.cards.registry import Registry
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.dropout import Dropout
from gcnnbench.nn.groups import P4, TRIVIAL
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.nn.separable import Separable, SeparableGroupConv

REGISTRY = Registry.load()
SEPARABLE: tuple[Separable, ...] = ("g", "gc")
COHEN = ("z2cnn-cohen", "p4cnn-cohen", "p4cnn-rotation-pooling")
THOUSANDS = {"z2cnn-lengyel": "25.21", "p4cnn-lengyel": "24.81", "g-p4cnn": "25.26", "gc-p4cnn": "24.64"}
"""Parameters as the table of Lengyel & van Gemert's code has them."""


@pytest.fixture(autouse=True)
def _a_seed() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(20160619)
        yield


def built(slug: str, size: int, channels: int = 1, classes: int = 10) -> nn.Module:
    """The network of a card, from a fixed seed."""
    build: Callable[..., nn.Module] = import_module(f"gcnnbench.models.{slug}.model").build
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(size=size, channels=channels, classes=classes, **REGISTRY.model(slug).hyperparameters)


@torch.no_grad()
def sizes(network: nn.Module, channels: int, size: int) -> dict[str, int]:
    """The height of what each child puts out, where it has one."""
    seen: dict[str, int] = {}

    def watch(name: str, child: nn.Module) -> None:
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if output.ndim == 4:
                seen[name] = output.shape[-1]

        child.register_forward_hook(hook)

    for name, child in network.named_children():
        watch(name, child)
    network.eval()(torch.rand(2, channels, size, size))
    return seen


@pytest.mark.parametrize("slug", THOUSANDS)
def test_counts_are_those_of_the_published_table(slug: str) -> None:
    card = REGISTRY.model(slug)
    assert abs(card.parameters[0].count - 1000 * float(THOUSANDS[slug])) <= 5, "two decimals are given"
    assert f"{THOUSANDS[slug]} k parameters" in str(card.sources[0].where)


@pytest.mark.parametrize("slug", [*COHEN, *THOUSANDS])
def test_seven_valid_convolutions_leave_one_pixel_of_28(slug: str) -> None:
    seen = sizes(built(slug, 28), 1, 28)
    assert [seen[f"conv{number}"] for number in range(1, 8)] == [26, 24, 10, 8, 6, 4, 1]
    assert seen["pool"] == 12


@pytest.mark.parametrize("slug", COHEN)
def test_the_pool_of_cohen_and_welling_rounds_up(slug: str) -> None:
    assert sizes(built(slug, 27), 1, 27)["pool"] == 12


def test_dropout_stands_where_the_code_has_it() -> None:
    dropped = [name for name, layer in built("z2cnn-cohen", 28).named_children() if isinstance(layer, Dropout)]
    assert dropped == ["dropout1", "dropout3", "dropout4", "dropout5", "dropout6"]
    for slug in (*COHEN[1:], *THOUSANDS):
        assert not any(isinstance(layer, Dropout) for layer in built(slug, 28).modules())


def test_rotation_pooling_lifts_each_layer_from_feature_maps_without_a_group() -> None:
    convolutions = [layer for layer in built("p4cnn-rotation-pooling", 28).modules() if isinstance(layer, GroupConv)]
    assert [(layer.in_group, layer.group) for layer in convolutions] == [(TRIVIAL, P4)] * 7


@pytest.mark.parametrize("slug", ["z2-densenet", "p4-densenet", "p4m-densenet"])
def test_every_average_pool_of_a_densenet_meets_an_even_size_at_96(slug: str) -> None:
    seen = sizes(built(slug, 96, 3, 2), 3, 96)
    assert [seen[f"dense{number}"] for number in range(1, 6)] == [92, 44, 20, 8, 2]
    assert [seen[f"transition{number}"] for number in range(1, 5)] == [46, 22, 10, 4]


@torch.no_grad()
@pytest.mark.parametrize("separable", SEPARABLE)
def test_running_variances_start_where_fresh_weights_put_the_features(separable: Separable) -> None:
    conv, norm, _ = separable_block(2, 20, 200, group=P4, separable=separable).values()
    assert isinstance(conv, SeparableGroupConv)
    assert isinstance(norm, GroupBatchNorm)
    nn.init.zeros_(conv.get_parameter("bias"))
    measured = conv(torch.randn(4, 80, 12, 12).relu()).square().mean()
    assert float(measured / norm.running_var[0]) == pytest.approx(1, rel=0.25)


@torch.no_grad()
@pytest.mark.parametrize("slug", ["g-p4cnn", "gc-p4cnn"])
def test_an_untrained_network_tells_images_apart(slug: str) -> None:
    network, images = built(slug, 28).double().eval(), torch.rand(4, 1, 28, 28).double()
    assert network(images).std(0).max() > 1e-3
    for name, values in network.named_buffers():
        if name.endswith("running_var"):
            values.fill_(1.0)
    assert network(images).std(0).max() < 1e-5, "else the variances need no start of their own"


def test_first_weights() -> None:
    chainer = GroupConv(10, 400, 3, group=P4).apply(lecun_normal)
    assert chainer.weight.std().item() == pytest.approx((10 * 4 * 9) ** -0.5, rel=0.02)
    assert not chainer.get_parameter("bias").any()
    uniform = GroupConv(10, 400, 3, group=P4).apply(sepgroupy)
    for parameter in uniform.parameters():
        assert parameter.std().item() == pytest.approx((10 * 9 * 3) ** -0.5, rel=0.1)
        assert parameter.abs().max() <= (10 * 9) ** -0.5
