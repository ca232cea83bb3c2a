"""Audits of networks we did and did not design: FIELD's table of exact sizes, torchvision, e2cnn."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.architectures.sequence import Network, classifier, conv_block, max_pool
from gcnnbench.equivariance.assertion import assert_equivariant
from gcnnbench.equivariance.audit import audit
from gcnnbench.equivariance.claims import false_claims
from gcnnbench.equivariance.explanation import explain
from gcnnbench.equivariance.targets import model_target
from gcnnbench.errors import UserError
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.groups import P4, TRIVIAL
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.nn.pooling import CosetPool
from tests.equivariance.audited import BROKEN, EXACT, seeded, verdicts


def p4cnn(pools: int) -> nn.Module:
    """The P4CNN of the MNIST study, narrow, with one pool (as published) or two (as shipped)."""
    layers = {
        **conv_block(1, 1, 3, group=P4, in_group=TRIVIAL),
        **conv_block(2, 3, 3, group=P4),
        "pool1": max_pool(2, group=P4),
        **conv_block(3, 3, 3, group=P4),
        **({"pool2": max_pool(2, group=P4)} if pools == 2 else {}),
        **conv_block(4, 3, 3, 4, group=P4, padding=0),
        **classifier(3, 10, group=P4),
    }
    return Network(layers)


def cohen_welling() -> nn.Module:
    """The P4CNN of Cohen & Welling: valid convolutions, one pool after the second, 4×4 at the end of 28 pixels."""
    layers = {
        **conv_block(1, 1, 3, group=P4, in_group=TRIVIAL, padding=0),
        **conv_block(2, 3, 3, group=P4, padding=0),
        "pool": max_pool(2, group=P4),
        **conv_block(3, 3, 3, group=P4, padding=0),
        **conv_block(4, 3, 3, group=P4, padding=0),
        **conv_block(5, 3, 3, group=P4, padding=0),
        **conv_block(6, 3, 3, group=P4, padding=0),
        **conv_block(7, 3, 3, 4, group=P4, padding=0),
        **classifier(3, 10, group=P4),
    }
    return Network(layers)


class Block(nn.Module):
    """A pre-activation residual block of two p4 convolutions."""

    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = GroupBatchNorm(channels, group=P4), GroupBatchNorm(out_channels, group=P4)
        self.conv1 = GroupConv(channels, out_channels, 3, group=P4, stride=stride, padding=1)
        self.conv2 = GroupConv(out_channels, out_channels, 3, group=P4, padding=1)
        change = stride > 1 or channels != out_channels
        self.shortcut = GroupConv(channels, out_channels, 1, group=P4, stride=stride) if change else None

    def forward(self, features: Tensor) -> Tensor:
        active = F.relu(self.norm1(features))
        residual: Tensor = self.conv2(F.relu(self.norm2(self.conv1(active))))
        return residual + (features if self.shortcut is None else self.shortcut(active))


class P4ResNet(nn.Module):
    """A P4 residual network; the stages after the first halve the size."""

    def __init__(self, widths: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        self.stem = GroupConv(3, widths[0], 3, group=P4, in_group=TRIVIAL, padding=1)
        self.layers = nn.Sequential()
        before = widths[0]
        for stage, width in enumerate(widths):
            for number in range(blocks):
                stride = 2 if stage and not number else 1
                self.layers.add_module(f"{stage + 1}_{number}", Block(before, width, stride))
                before = width
        self.norm = GroupBatchNorm(before, group=P4)
        self.coset = CosetPool(P4)
        self.linear = nn.Linear(before, 10)

    def forward(self, images: Tensor) -> Tensor:
        features = F.relu(self.norm(self.layers(self.stem(images))))
        logits: Tensor = self.linear(self.coset(features).mean((-2, -1)))
        return logits


INAPPLICABLE = ("unknown", "unknown", "inapplicable")


def test_the_published_p4cnn_is_exact_at_even_sizes() -> None:
    found = verdicts(seeded(lambda: p4cnn(1)), range(24, 41), channels=1)
    assert found == {size: EXACT if size % 2 == 0 else BROKEN for size in range(24, 41)}


def test_the_shipped_p4cnn_is_exact_at_multiples_of_four() -> None:
    found = verdicts(seeded(lambda: p4cnn(2)), range(24, 33), channels=1)
    assert found == {size: EXACT if size % 4 == 0 else BROKEN for size in range(24, 33)}


def test_the_valid_p4cnn_is_exact_at_even_sizes_from_28_on() -> None:
    found = audit(seeded(cohen_welling), range(24, 33), P4, channels=1)
    assert {row.size: (row.grid, row.certificate, row.decision) for row in found.sizes} == {
        size: INAPPLICABLE if size < 28 else EXACT if size % 2 == 0 else BROKEN for size in range(24, 33)
    }
    for row in found.sizes:
        assert row.reason is None or row.decision != "exact"
        if row.size < 28:
            assert "can't be greater than actual input size" in str(row.reason)
        elif row.size % 2:
            assert row.first_break == "pool"


def test_a_p4_resnet44_is_exact_at_one_modulo_four() -> None:
    model = seeded(lambda: P4ResNet((2, 3, 4), 7))
    found = verdicts(model, [31, 32, 33], channels=3)
    assert found == {31: BROKEN, 32: BROKEN, 33: EXACT}


def test_a_p4_resnet18_is_exact_at_one_modulo_eight() -> None:
    model = seeded(lambda: P4ResNet((1, 1, 2, 2), 2))
    found = verdicts(model, [64, 65, 69, 73], channels=3)
    assert found == {64: BROKEN, 65: EXACT, 69: BROKEN, 73: EXACT}


def test_torchvisions_resnet18_is_never_exact() -> None:
    models = import_module("torchvision.models")
    found = audit(seeded(lambda: models.resnet18(num_classes=10)), [32, 33], P4)
    assert found.channels == 3
    assert {row.decision for row in found.sizes} == {"approximate"}
    assert {row.size: (row.grid, row.certificate) for row in found.sizes} == {
        32: ("broken", "approximate"),
        33: ("symmetric", "unknown"),
    }
    assert found.sizes[0].first_break == "conv1"


def e2cnn_wide_resnet() -> nn.Module:
    """A C4 wide ResNet of e2cnn in small: stem, three stages of one block, the last two with stride 2."""
    gspaces, enn = import_module("e2cnn.gspaces"), import_module("e2cnn.nn")
    space = gspaces.Rot2dOnR2(4)

    def regular(fields: int) -> Any:
        return enn.FieldType(space, fields * [space.regular_repr])

    class WideBlock(nn.Module):
        def __init__(self, given: Any, made: Any, stride: int) -> None:
            super().__init__()
            self.norm1, self.relu1 = enn.InnerBatchNorm(given), enn.ReLU(given, inplace=True)
            self.conv1 = enn.R2Conv(given, made, 3, padding=1, stride=stride, bias=False)
            self.norm2, self.relu2 = enn.InnerBatchNorm(made), enn.ReLU(made, inplace=True)
            self.conv2 = enn.R2Conv(made, made, 3, padding=1, bias=False)
            self.shortcut = enn.R2Conv(given, made, 1, stride=stride, bias=False)

        def forward(self, features: Any) -> Any:
            active = self.relu1(self.norm1(features))
            return self.conv2(self.relu2(self.norm2(self.conv1(active)))) + self.shortcut(active)

    class WideResNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.image = enn.FieldType(space, 3 * [space.trivial_repr])
            self.stem = enn.R2Conv(self.image, regular(2), 3, padding=1, bias=False)
            self.layer1 = WideBlock(regular(2), regular(2), 1)
            self.layer2 = WideBlock(regular(2), regular(3), 2)
            self.layer3 = WideBlock(regular(3), regular(3), 2)
            self.norm = enn.InnerBatchNorm(regular(3))
            self.group_pool = enn.GroupPooling(regular(3))
            self.linear = nn.Linear(3, 10)

        def forward(self, images: Tensor) -> Tensor:
            features = self.layer1(self.stem(enn.GeometricTensor(images, self.image)))
            features = self.group_pool(self.norm(self.layer3(self.layer2(features)))).tensor
            logits: Tensor = self.linear(features.mean((-2, -1)))
            return logits

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="indexing with dtype torch.uint8", category=UserWarning)
        return WideResNet()


@pytest.mark.parametrize("evaluated_before", [False, True])
def test_an_e2cnn_c4_wide_resnet_is_exact_at_one_modulo_four(evaluated_before: bool) -> None:
    model = seeded(e2cnn_wide_resnet)
    model.train(not evaluated_before)
    found = verdicts(model, range(29, 34), channels=3)
    assert found == {size: EXACT if size % 4 == 1 else BROKEN for size in range(29, 34)}
    assert model.training is not evaluated_before
    assert {tensor.dtype for tensor in model.state_dict().values() if tensor.is_floating_point()} == {torch.float32}
    assert not any("expand_parameters" in vars(module) for module in model.modules())


def test_every_card_tells_the_truth_about_its_exactness_and_a_lie_is_told_with_evidence() -> None:
    registry = import_module("gcnnbench.cards.registry").Registry.load()
    card = registry.model("p4cnn")
    assert false_claims(registry, card) == ()
    lie = card.model_copy(update={"exact_at": (15,), "approximate_at": (16,)})
    first, second = false_claims(registry, lie)
    assert first.startswith("p4cnn at 15 stands in exact_at, but the audit finds it approximate under p4: pool: ")
    assert second.startswith("p4cnn at 16 stands in approximate_at, but the audit finds it exact under p4: error ")
    assert false_claims(registry, registry.model("z2cnn")) == ()


def test_a_network_without_symmetry_claims_none() -> None:
    registry = import_module("gcnnbench.cards.registry").Registry.load()
    target = model_target(registry, registry.model("z2cnn"))
    found = audit(target.make, [15, 16], P4, channels=target.channels, claims_trivial=target.claims_trivial)
    assert [(row.certificate, row.decision) for row in found.sizes] == [("none", "approximate")] * 2


def test_the_explanation_says_how_to_repair() -> None:
    text = explain(seeded(lambda: P4ResNet((2, 3, 4), 1)), 32, P4, channels=3)
    assert "P4ResNet at 32 under p4: approximate" in text
    assert "  33 instead of 32: layers.2_0.conv1 sees 33 instead of 32, " in text
    assert "layers.3_0.conv1 sees 17 instead of 16" in text
    assert "  29 instead of 32: layers.2_0.conv1 sees 29 instead of 32" in text
    assert "broken     layers.2_0.conv1: convolution, 32 → 16 (kernel 3, stride 2, padding 1)" in text
    assert "what would do" not in explain(seeded(lambda: P4ResNet((2, 3, 4), 1)), 33, P4, channels=3)
    assert "cannot take this size" in explain(seeded(cohen_welling), 20, P4, channels=1)


def test_the_assertion_names_layer_size_and_cure() -> None:
    model = seeded(lambda: p4cnn(1))
    assert_equivariant(model, "p4", sizes=[12, 16], channels=1)
    with pytest.raises(AssertionError) as caught:
        assert_equivariant(model, "p4", sizes=[12, 13], channels=1)
    message = str(caught.value)
    named = f"{Network.__module__}:Network"
    assert message.startswith(f"{named} is approximate under p4 at input size 13 at pool1: pool1: max_pool2d")
    assert "use 12 instead of 13: pool1 sees 12 instead of 13" in message
    with pytest.raises(AssertionError, match="is not equivariant under p4m at input size 12 at coset: conv1: "):
        assert_equivariant(model, "p4m", sizes=[12], channels=1)
    with pytest.raises(UserError, match="unknown group 'p5'"):
        assert_equivariant(model, "p5", sizes=[12], channels=1)
    with pytest.raises(UserError, match="at least one input size"):
        assert_equivariant(model, "p4", sizes=[], channels=1)
    with pytest.raises(UserError, match="none of the sizes with 1 to 4 channels"):
        assert_equivariant(nn.Conv2d(7, 1, 3), "p4", sizes=[12])
