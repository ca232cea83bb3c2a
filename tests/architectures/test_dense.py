"""Dense blocks against their definition, where DenseNets are exact, and faults that the same check must catch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.architectures.dense import Dense, dense_block, dense_network, transition
from gcnnbench.architectures.sequence import Network
from gcnnbench.equivariance.certificate.verdict import certify
from gcnnbench.errors import UserError
from gcnnbench.nn.fields import RegularField
from gcnnbench.nn.groups import P4, P4M, TRIVIAL, Group
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.rewriting.folded import for_scoring


@torch.no_grad()
def drawn(network: nn.Module) -> nn.Module:
    """The network with norms and biases away from their start, in evaluation mode; filters are drawn already."""
    for name, values in network.named_buffers():
        if name.endswith("running_mean"):
            values.normal_(std=0.3)
        if name.endswith("running_var"):
            values.uniform_(0.5, 2.0)
    for parameter in network.parameters():
        if parameter.ndim == 1:
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return network.eval()


@torch.no_grad()
@pytest.mark.parametrize("group", [TRIVIAL, P4, P4M], ids=lambda group: group.name)
def test_a_block_keeps_its_input_and_grows(group: Group) -> None:
    block = drawn(dense_block(2, 3, group=group))
    features = torch.randn(2, 2 * len(group), 7, 7)
    output, order = block(features), len(group)
    assert output.shape == (2, 5 * order, 5, 5)
    assert torch.equal(output[:, : 2 * order], features[:, :, 1:6, 1:6])
    by_hand = nn.Sequential(*block.get_submodule("branch").children())
    torch.testing.assert_close(output[:, 2 * order :], by_hand(features), rtol=0, atol=1e-12)


@torch.no_grad()
def equivariance_error(layer: nn.Module, group: Group, size: int) -> float:
    """The largest |g f(x) − f(g x)| over the group, relative to the spread of f(x)."""
    field, features = RegularField(group), torch.randn(2, 2 * len(group), size, size)
    output: Tensor = layer(features)
    errors = [(field.act(output, g) - layer(field.act(features, g))).abs().max() for g in group.elements]
    return float(torch.stack(errors).max() / output.std())


@pytest.mark.parametrize("group", [P4, P4M], ids=lambda group: group.name)
def test_blocks_and_transitions_are_equivariant(group: Group) -> None:
    assert equivariance_error(drawn(dense_block(2, 3, group=group)), group, 7) < 1e-12
    assert equivariance_error(drawn(transition(2, 3, group=group)), group, 8) < 1e-12
    assert equivariance_error(drawn(transition(2, 3, group=group)), group, 7) > 1e-3


class Faulty(Dense):
    """A dense block with a planted fault."""

    def __init__(self, fault: str) -> None:
        inner = dense_block(2, 3, group=P4)
        super().__init__(inner.branch, inner.margin, inner.field)
        self.fault = fault

    def forward(self, features: Tensor) -> Tensor:
        grown, kept = self.branch(features), features[..., 1:-1, 1:-1]
        if self.fault == "cropped at one end":
            kept = features[..., 2:, 2:]
        if self.fault == "group outside channels":
            by_group = [part.unflatten(1, (-1, 4)) for part in (kept, grown)]
            return torch.cat(by_group, 1).transpose(1, 2).flatten(1, 2)
        if self.fault == "orientations shifted":
            kept = kept.unflatten(1, (-1, 4)).roll(1, 2).flip(2).flatten(1, 2)
        return torch.cat([kept, grown], 1)


@pytest.mark.parametrize("fault", ["cropped at one end", "group outside channels", "orientations shifted"])
def test_a_planted_fault_is_noticed(fault: str) -> None:
    assert equivariance_error(drawn(Faulty(fault)), P4, 7) > 1e-3
    assert equivariance_error(drawn(Faulty("")), P4, 7) < 1e-12


def small(size: int, blocks: int = 3) -> Network:
    return dense_network(size=size, channels=1, classes=3, growth=4, blocks=blocks, compression=0.5, group=P4)


@pytest.mark.parametrize(("size", "verdict"), [(20, "exact"), (24, "exact"), (22, "approximate"), (23, "approximate")])
def test_a_network_of_three_blocks_is_exact_at_multiples_of_four(size: int, verdict: str) -> None:
    network = drawn(small(size))
    images = torch.randn(2, 1, size, size)
    assert certify(network, images, P4.elements).verdict == verdict
    with torch.no_grad():
        logits = network(images)
        error = max(float((network(g.act(images)) - logits).abs().max() / logits.std(0).max()) for g in P4.elements)
    assert error < 1e-10 if verdict == "exact" else error > 1e-2


def test_compression_and_widths() -> None:
    network = small(20)
    norms = [layer.channels for layer in network.modules() if isinstance(layer, GroupBatchNorm)]
    assert norms == [4, 8, 4, 8, 4, 8], "four grow to eight, a transition halves them"
    assert network.depths == ("conv", "dense1", "dense2", "dense3", "coset")


@pytest.mark.parametrize(("blocks", "smallest"), [(1, 5), (2, 10), (3, 20), (5, 80)])
def test_the_smallest_size_leaves_one_pixel_and_a_smaller_one_is_refused(blocks: int, smallest: int) -> None:
    network, seen = small(smallest, blocks), []
    network.get_submodule("norm").register_forward_hook(lambda *hooked: seen.append(hooked[2].shape[-1]))
    network(torch.rand(2, 1, smallest, smallest))
    assert seen == [1]
    with pytest.raises(UserError, match=rf"size \(={smallest - 1}\) must be at least {smallest}"):
        small(smallest - 1, blocks)


@torch.no_grad()
def test_scoring_is_the_same_function() -> None:
    network = drawn(small(20))
    images = torch.rand(3, 1, 20, 20)
    expected = network(images)
    assert (for_scoring(network)(images) - expected).abs().max() < 1e-10 * expected.abs().max()
