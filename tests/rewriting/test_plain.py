"""Plain copies of our networks: torch.nn modules only, equal in float64, and ready for torch.export."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.architectures.dense import dense_block
from gcnnbench.architectures.sequence import Network, classifier, conv_block, max_pool
from gcnnbench.errors import UserError
from gcnnbench.nn.blur import BlurPool
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.dropout import Dropout
from gcnnbench.nn.groups import P4, P4M, TRIVIAL, Group
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.nn.pooling import CosetPool
from gcnnbench.nn.separable import SeparableGroupConv
from gcnnbench.nn.subsampling import EquivariantMaxPool
from gcnnbench.rewriting.plain import to_plain


def trained(network: nn.Module, channels: int = 2) -> nn.Module:
    """The network with parameters and running statistics away from their start, still in training mode."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
        for _ in range(3):
            network(torch.randn(4, channels, 10, 10))
    return network


def small(group: Group, pool: nn.Module) -> Network:
    return Network(
        {
            **conv_block(1, 2, 3, group=group, in_group=TRIVIAL, dropout=0.3),
            "pool": pool,
            **conv_block(2, 3, 4, 2, group=group, padding=0),
            **classifier(4, 5, group=group),
        }
    )


@pytest.mark.parametrize("group", [TRIVIAL, P4, P4M], ids=lambda group: group.name)
def test_a_plain_copy_is_plain_and_equal(group: Group) -> None:
    network = trained(small(group, max_pool(2, group=group)))
    images = torch.randn(3, 2, 10, 10)
    before = {name: values.clone() for name, values in network.state_dict().items()}
    plain = to_plain(network)
    assert {type(module).__module__.split(".")[0] for module in plain.modules()} == {"torch"}
    assert network.training, "the network itself stays as it was"
    assert all(torch.equal(before[name], values) for name, values in network.state_dict().items())
    assert [name for name, _ in plain.named_children()] == [name for name, _ in network.named_children()]
    torch.testing.assert_close(plain(images), network.eval()(images), rtol=0, atol=1e-10)


def test_every_option_of_the_convolution_survives() -> None:
    layer = GroupConv(2, 4, 3, group=P4, stride=2, padding=2, dilation=2, groups=2, bias=False)
    network = nn.Sequential(layer, GroupBatchNorm(4, group=P4, eps=1e-2), CosetPool(P4, "mean"), Dropout(0.5))
    network.eval()
    features = torch.randn(2, 8, 9, 9)
    torch.testing.assert_close(to_plain(network)(features), network(features), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "layer",
    [
        *(SeparableGroupConv(2, 3, 3, group=P4M, separable=variant, stride=2, padding=1) for variant in ("g", "gc")),
        *(BlurPool(P4M, kernel_size, 2) for kernel_size in (1, 2, 3, 4, 5)),
        BlurPool(P4M, 3, 1),
        dense_block(2, 3, group=P4M),
    ],
    ids=str,
)
def test_the_layers_of_other_networks_are_plain_and_equal(layer: nn.Module) -> None:
    layer, features = layer.double().eval(), torch.randn(2, 16, 9, 9)
    plain = to_plain(layer)
    assert {type(module).__module__.split(".")[0] for module in plain.modules()} == {"torch"}
    torch.testing.assert_close(plain(features), layer(features), rtol=0, atol=1e-10)


def test_one_layer_alone_is_plain_too() -> None:
    layer = GroupConv(2, 3, 3, group=P4)
    assert type(to_plain(layer)) is nn.Conv2d


def test_copies_do_not_follow() -> None:
    network = trained(small(P4, max_pool(2, group=P4))).eval()
    plain, images = to_plain(network), torch.randn(2, 2, 10, 10)
    before: Tensor = plain(images)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    assert torch.equal(plain(images), before)


def test_goes_through_torch_export() -> None:
    network = trained(small(P4, max_pool(2, group=P4))).eval()
    images = torch.randn(2, 2, 10, 10)
    exported = torch.export.export(to_plain(network), (images,)).module()
    torch.testing.assert_close(exported(images), network(images), rtol=0, atol=1e-10)


def test_our_own_layers_go_through_torch_export_as_they_are() -> None:
    network = trained(small(P4, EquivariantMaxPool(P4))).eval()
    images = torch.randn(2, 2, 9, 9)
    exported = torch.export.export(network, (images,)).module()
    torch.testing.assert_close(exported(images), network(images), rtol=0, atol=1e-10)


def test_what_has_no_plain_form_is_named() -> None:
    with pytest.raises(
        UserError, match=r"pool \(EquivariantMaxPool\) has no form in plain torch modules; torch.export"
    ):
        to_plain(small(P4, EquivariantMaxPool(P4)))


def test_wide_e2cnn_networks_become_plain() -> None:
    from gcnnbench.architectures.wide import steerable_wide_resnet

    torch.set_default_dtype(torch.float32)
    network = steerable_wide_resnet(
        order=4, kernel_size=3, size=9, channels=2, classes=3, widths=(2, 2, 3), blocks=2, dropout=0.3
    ).double()
    torch.set_default_dtype(torch.float64)
    trained(network)
    images = torch.randn(2, 2, 9, 9)
    torch.testing.assert_close(to_plain(network)(images), network.eval()(images), rtol=0, atol=1e-10)


def test_e2cnn_networks_become_plain() -> None:
    from gcnnbench.nn.steerable import regular_type, scalar_type, steerable_block, steerable_classifier

    torch.set_default_dtype(torch.float32)
    image, regular = scalar_type(8, 2), regular_type(8, 2)
    layers = {**steerable_block(1, image, regular, 4, dropout=0.3), **steerable_block(2, regular, regular, padding=0)}
    network = Network({**layers, **steerable_classifier(regular, 3)}).double()
    torch.set_default_dtype(torch.float64)
    trained(network)
    images = torch.randn(2, 2, 10, 10)
    plain = to_plain(network)
    torch.testing.assert_close(plain(images), network.eval()(images), rtol=0, atol=1e-10)
    assert not any(type(module).__module__.startswith("gcnnbench") for module in plain.modules())
    exported = torch.export.export(plain, (images,)).module()
    torch.testing.assert_close(exported(images), network(images), rtol=0, atol=1e-10)


def test_a_network_whose_eval_returns_nothing_is_copied() -> None:
    class Silent(nn.Sequential):
        def train(self, mode: bool = True) -> None:  # type: ignore[override]
            super().train(mode)

    network, images = Silent(GroupConv(2, 3, 3, group=P4, in_group=TRIVIAL)), torch.randn(2, 2, 8, 8)
    torch.testing.assert_close(to_plain(network)(images), network(images), rtol=0, atol=1e-10)
