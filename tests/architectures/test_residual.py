"""Residual and all-convolutional networks: what a block computes, what is folded, where planted faults break it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.architectures.allcnn import all_convolutional
from gcnnbench.architectures.heads import coset_classifier, flattened_classifier
from gcnnbench.architectures.initialisation import he_normal, normal, sepgroupy
from gcnnbench.architectures.residual import Residual, basic_block, convolution, normed, residual_network
from gcnnbench.architectures.sequence import Network, classifier
from gcnnbench.equivariance.audit import audit
from gcnnbench.errors import UserError
from gcnnbench.nn.blur import BlurPool
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.fields import feature_field
from gcnnbench.nn.groups import P4, P4M, TRIVIAL, Group
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.rewriting.folded import FoldedConv, for_scoring
from gcnnbench.rewriting.plain import to_plain

GROUPS = [TRIVIAL, P4, P4M]


def small(group: Group = P4, head: Any = coset_classifier, **options: Any) -> Network:
    """Three stages of two blocks, with parameters and running statistics away from their start, in float64."""
    torch.manual_seed(0)
    arguments: dict[str, Any] = {
        "size": 9,
        "channels": 3,
        "classes": 5,
        "widths": (2, 3, 4),
        "blocks": (2, 2, 2),
        "initialise": sepgroupy,
    }
    network = residual_network(group=group, head=head, **(arguments | options)).double()
    return randomise(network)


def randomise(network: Network) -> Network:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
        for name, values in network.named_buffers():
            if name.endswith("running_mean"):
                values.normal_(std=0.1)
            elif name.endswith("running_var"):
                values.uniform_(0.5, 2.0)
    return network


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_a_block_is_its_definition(group: Group) -> None:
    torch.manual_seed(0)
    make, one = convolution(3, group=group), normed(convolution(1, group=group), group=group)
    block = basic_block(2, 3, 2, group=group, conv=make, projection=one).double().eval()
    features = torch.randn(2, 2 * len(group), 9, 9, dtype=torch.float64)
    parts = dict(block.branch.named_children())
    inner = parts["conv1"](F.relu(parts["norm1"](features)))
    expected = parts["conv2"](F.relu(parts["norm2"](inner))) + block.shortcut(features)
    assert expected.shape == (2, 3 * len(group), 5, 5)
    torch.testing.assert_close(block(features), expected, rtol=0, atol=1e-12)
    assert block.field == feature_field(group)
    same = basic_block(3, 3, 1, group=group, conv=make, projection=one)
    assert isinstance(same.shortcut, nn.Identity), "nothing changes, so nothing is projected"
    assert not isinstance(basic_block(2, 3, 1, group=group, conv=make, projection=one).shortcut, nn.Identity)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
@pytest.mark.parametrize("head", [coset_classifier, flattened_classifier, classifier], ids=lambda head: head.__name__)
def test_folding_norms_changes_nothing_but_rounding(group: Group, head: Any) -> None:
    network = small(group, head)
    images = torch.randn(3, 3, 9, 9, dtype=torch.float64)
    before = {name: values.clone() for name, values in network.state_dict().items()}
    scoring = for_scoring(network)
    torch.testing.assert_close(scoring(images), network.eval()(images), rtol=0, atol=1e-10)
    layers = list(scoring.modules())
    assert not any(isinstance(layer, GroupConv) for layer in layers)
    assert sum(isinstance(layer, FoldedConv) for layer in layers) == 1 + 12 + 2
    assert sum(isinstance(layer, GroupBatchNorm) for layer in layers) == 6 + 1, "those that follow a sum stay"
    assert all(torch.equal(before[name], values) for name, values in network.state_dict().items())


def test_a_norm_left_out_of_a_fold_would_be_seen() -> None:
    network = small()
    scoring, images = for_scoring(network), torch.randn(2, 3, 9, 9, dtype=torch.float64)
    network.get_buffer("stage2.0.shortcut.norm.running_mean").add_(0.5)
    assert (scoring(images) - network.eval()(images)).abs().max() > 1e-4


def test_the_plain_copy_is_plain_and_equal() -> None:
    network, images = small(), torch.randn(2, 3, 9, 9, dtype=torch.float64)
    plain = to_plain(network)
    assert {type(module).__module__.split(".")[0] for module in plain.modules()} == {"torch"}
    torch.testing.assert_close(plain(images), network.eval()(images), rtol=0, atol=1e-10)
    torch.export.export(plain, (images,))


EXACT, BROKEN = ("symmetric", "exact", "exact"), ("broken", "approximate", "approximate")


def verdicts(network: nn.Module, sizes: list[int], group: Group = P4) -> dict[int, tuple[str, str, str]]:
    rows = audit(network, sizes, group, channels=3).sizes
    assert not any(row.disagreement for row in rows)
    return {row.size: (row.grid, row.certificate, row.decision) for row in rows}


@pytest.mark.parametrize("head", [coset_classifier, classifier], ids=lambda head: head.__name__)
def test_three_stages_are_exact_at_one_modulo_four(head: Any) -> None:
    assert verdicts(small(P4M, head), [10, 12, 13], P4M) == {10: BROKEN, 12: BROKEN, 13: EXACT}


def test_a_blur_thins_the_grid_in_place_of_the_strides() -> None:
    network = small(blur=3)
    assert all(layer.stride == 1 for layer in network.modules() if isinstance(layer, GroupConv))
    assert [name for name, layer in network.named_modules() if isinstance(layer, BlurPool)] == [
        f"stage{stage}.0.{place}.blur" for stage in (2, 3) for place in ("branch", "shortcut")
    ]
    assert verdicts(network, [12, 13]) == {12: BROKEN, 13: EXACT}
    images = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    torch.testing.assert_close(for_scoring(network)(images), network.eval()(images), rtol=0, atol=1e-10)


def test_four_stages_are_exact_at_one_modulo_eight() -> None:
    network = small(widths=(2, 2, 2, 2), blocks=(1, 1, 1, 1))
    assert verdicts(network, [13, 16, 17]) == {13: BROKEN, 16: BROKEN, 17: EXACT}


def test_flattened_features_are_exact_and_logits_are_not() -> None:
    rows = audit(small(P4, flattened_classifier), [12, 13], P4, channels=3).sizes
    assert [(row.grid, row.certificate, row.decision) for row in rows] == [
        BROKEN,
        ("symmetric", "unknown", "approximate"),
    ]
    assert str(rows[0].first_break).startswith("stage2.0.branch.conv1")
    assert rows[1].first_break == "linear"


class Unequal(GroupConv):
    """A group convolution that sees its input's first orientation twice as strong as the others."""

    def forward(self, features: Tensor) -> Tensor:
        by_group = features.unflatten(1, (-1, len(self.group))).clone()
        by_group[:, :, 0] *= 2
        return super().forward(by_group.flatten(1, 2))


def even_kernel(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    return nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), GroupConv(in_channels, out_channels, 2, group=P4, stride=stride))


def ordinary(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    return nn.Conv2d(4 * in_channels, 4 * out_channels, 1, stride)


FAULTS: dict[str, dict[str, Any]] = {
    "the group axis treated unequally": {
        "conv": lambda ins, outs, stride: Unequal(ins, outs, 3, group=P4, stride=stride, padding=1)
    },
    "an even kernel, padded on one side": {"conv": even_kernel},
    "an ordinary convolution as shortcut": {"projection": ordinary},
    "a norm per orientation": {
        "projection": lambda ins, outs, stride: nn.Sequential(
            GroupConv(ins, outs, 1, group=P4, stride=stride), nn.BatchNorm2d(4 * outs)
        )
    },
    "a shortcut on another grid": {
        "projection": lambda ins, outs, stride: nn.Sequential(
            nn.ZeroPad2d((0, 1, 0, 1)), GroupConv(ins, outs, 2, group=P4, stride=stride)
        )
    },
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    (row,) = audit(small(blocks=(1, 1, 1), **FAULTS[fault]), [13], P4, channels=3).sizes
    assert row.decision == "approximate"
    assert row.certificate != "exact"


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_an_all_convolutional_network_averages_its_last_features(group: Group) -> None:
    torch.manual_seed(0)
    made = all_convolutional(size=9, channels=3, classes=5, widths=(3, 4), dropout=(0.2, 0.5), std=0.05, group=group)
    network = randomise(made.double()).eval()
    images = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    kept: dict[str, Tensor] = {}
    network.get_submodule("relu9").register_forward_hook(lambda _m, _i, out: kept.update(relu9=out))
    logits = network(images)
    expected = kept["relu9"].unflatten(1, (5, len(group))).mean((2, 3, 4))
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)
    assert kept["relu9"].shape[-1] == 3
    scoring = for_scoring(network)(images)
    torch.testing.assert_close(scoring, logits, rtol=0, atol=1e-11)


def test_an_all_convolutional_network_is_exact_at_one_modulo_four() -> None:
    torch.manual_seed(0)
    made = all_convolutional(size=9, channels=3, classes=5, widths=(3, 4), dropout=(0.2, 0.5), std=0.05, group=P4)
    assert verdicts(randomise(made.double()), [12, 13]) == {12: BROKEN, 13: EXACT}


def spread(layer: nn.Module) -> float:
    return float(next(layer.parameters()).detach().std())


def test_first_weights_are_drawn_as_published() -> None:
    torch.manual_seed(0)
    lifting, linear = GroupConv(3, 200, 3, group=P4, in_group=TRIVIAL), nn.Linear(200, 50)
    over_group, ordinary = GroupConv(20, 30, 3, group=P4), GroupConv(20, 30, 3, group=TRIVIAL)
    untouched = linear.weight.clone()
    for layer in (lifting, over_group, ordinary, linear):
        layer.apply(sepgroupy)
    assert torch.equal(untouched, linear.weight)
    assert float(over_group.weight.detach().abs().max()) == pytest.approx((20 * 9) ** -0.5, rel=1e-2)
    assert float(lifting.weight.detach().abs().max()) == pytest.approx((3 * 9) ** -0.5, rel=1e-2)
    assert spread(ordinary) == pytest.approx((2 / (30 * 9)) ** 0.5, rel=0.05)
    for layer in (over_group, linear):
        layer.apply(he_normal)
        assert float(layer.bias.detach().abs().max()) == 0  # type: ignore[union-attr]
    assert spread(over_group) == pytest.approx((2 / (20 * 4 * 9)) ** 0.5, rel=0.05)
    assert spread(linear) == pytest.approx((2 / 200) ** 0.5, rel=0.05)
    assert spread(over_group.apply(normal(0.07))) == pytest.approx(0.07, rel=0.05)


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match=r"widths \(2, 3\) and blocks \(2,\) must both have one number"):
        small(widths=(2, 3), blocks=(2,))
    with pytest.raises(UserError, match=r"size \(=2\) must be at least 3: below it a stride of 2 meets a single pixel"):
        small(size=2)
    with pytest.raises(UserError, match=r"widths \(=\(3,\)\) must have two numbers"):
        all_convolutional(size=9, channels=3, classes=5, widths=(3,), dropout=(0.2, 0.5), std=0.05, group=P4)
    with pytest.raises(UserError, match=r"dropout \(=\(0.2,\)\) must have two numbers"):
        all_convolutional(size=9, channels=3, classes=5, widths=(3, 4), dropout=(0.2,), std=0.05, group=P4)


def test_a_residual_adds() -> None:
    block = Residual(nn.Identity(), nn.Identity(), feature_field(P4))
    assert torch.equal(block(torch.ones(1, 4, 2, 2)), torch.full((1, 4, 2, 2), 2.0))


@pytest.mark.parametrize("blur", [None, 3])
def test_every_gradient_of_features_is_in_channels_last_memory(blur: int | None) -> None:
    """One in another layout is carried on along the shortcuts, and every convolution before it has to copy it."""
    network = small(blur=blur).train()
    layouts: dict[str, bool] = {}

    def watch(name: str) -> Any:
        def hook(_layer: nn.Module, _inputs: Any, features: Tensor) -> None:
            features.register_hook(
                lambda gradient: layouts.update({name: gradient.is_contiguous(memory_format=torch.channels_last)})
            )

        return hook

    for name, layer in network.named_modules():
        if isinstance(layer, GroupConv | GroupBatchNorm | Residual):
            layer.register_forward_hook(watch(name))
    F.cross_entropy(network(torch.randn(4, 3, 9, 9)), torch.arange(4) % 3).backward()
    assert len(layouts) > 10
    assert [name for name, channels_last in layouts.items() if not channels_last] == []
