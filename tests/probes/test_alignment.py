"""Probes of weight space: perfect on exact networks, noise on random ones, and no planted fault goes unseen."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.architectures.sequence import Network, classifier, conv_block, max_pool
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.errors import UserError
from gcnnbench.nn.fields import RegularField
from gcnnbench.nn.groups import P4, P4M, PM, TRIVIAL, Element, Group
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.probes import alignment, subspace
from gcnnbench.probes.chains import Chain, chain, conjugated, merged

QUARTER, BACK, MIRROR = Element(0, 1), Element(0, 3), Element(1, 1)
SIZE, PLANES = 12, 3


def small(acting: Group, planes: int = PLANES) -> Network:
    """Three convolutions and a pool, exact at 12 pixels, with norms as after training."""
    torch.manual_seed(4)
    layers = {
        **conv_block(1, 1, planes, group=acting, in_group=TRIVIAL),
        "pool": max_pool(2, group=acting),
        **conv_block(2, planes, planes, group=acting, dropout=0.3),
        **conv_block(3, planes, 2 * planes, group=acting),
        **classifier(2 * planes, 3, group=acting),
    }
    network = Network(layers).double()
    for module in network.modules():
        if isinstance(module, GroupBatchNorm):
            module.momentum = 1.0  # the statistics of the one batch that follows: no channel is dead
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, 0.0, 0.5)
    with torch.no_grad():
        network.train()(images())
    return network.eval()


def images(count: int = 24) -> Tensor:
    return sample_images(count, 1, SIZE).double()


def test_the_element_is_not_its_own_inverse() -> None:
    assert alignment.probed_element(P4) == QUARTER
    assert alignment.probed_element(P4M).inverse != alignment.probed_element(P4M)
    assert alignment.probed_element(PM) == PM.elements[1]


@pytest.mark.parametrize("element", [QUARTER, BACK, MIRROR], ids=lambda one: one.name)
def test_matchings_of_an_exact_network_are_the_action_of_the_group(element: Element) -> None:
    found = chain(small(P4M))
    for stage, matching in enumerate(alignment.matchings(found, found, images(), element)):
        channels = torch.arange(found.conv(stage).out_channels, dtype=torch.float64)
        acted = RegularField(P4M).act(channels.view(1, -1, 1, 1), element.inverse).flatten().long()
        assert matching.live.all()
        assert torch.equal(matching.places, acted)


def test_an_exact_network_is_perfect_and_an_ordinary_one_is_not() -> None:
    exact = alignment.measure(small(P4), images(), P4)
    assert list(exact) == ["relu1", "relu2", "relu3"]
    assert all(one == {"correlation": pytest.approx(1, abs=1e-9), "law": 1.0} for one in exact.values())
    assert all(max(one.values()) < 1e-12 for one in subspace.measure(small(P4), images(), P4).values())
    ordinary = alignment.measure(small(TRIVIAL, 9), images(), P4)
    assert all(one["correlation"] < 0.8 and one["law"] < 1 for one in ordinary.values())
    for one in subspace.measure(small(TRIVIAL, 9), images(), P4).values():
        assert 0.5 < one["outside"] < 1  # √(1 − 3/9) = 0.82 of random kernels, which have three orbits
        assert 0.6 < one["matched"] < 1.2
    assert alignment.measure(small(P4), images(), TRIVIAL) == {}


@pytest.mark.parametrize("acting", [P4, TRIVIAL], ids=["p4", "trivial"])
@pytest.mark.parametrize("element", [QUARTER, MIRROR], ids=lambda one: one.name)
def test_the_conjugate_sees_images_moved(acting: Group, element: Element) -> None:
    found, shown = chain(small(acting)), images(6)
    still = [torch.arange(found.conv(stage).out_channels) for stage in range(3)]
    other = conjugated(found, element, still)
    assert torch.allclose(other.network(element.inverse.act(shown)), found.network(shown), rtol=0, atol=1e-12)
    for mine, theirs in zip(other.features(shown), found.features(element.act(shown)), strict=True):
        assert torch.allclose(mine, element.inverse.act(theirs), rtol=0, atol=1e-12)
    if acting is TRIVIAL and element.inverse != element:
        assert not torch.allclose(other.network(element.act(shown)), found.network(shown), rtol=0, atol=1e-3)


def shuffled() -> tuple[Chain, Chain, list[Tensor]]:
    """A network, itself with its channels in another order, and that order."""
    found, drawn = chain(small(TRIVIAL, 7)), torch.Generator().manual_seed(9)
    orders = [torch.randperm(found.conv(stage).out_channels, generator=drawn) for stage in range(3)]
    return found, conjugated(found, Element(), orders), orders


def test_a_permuted_copy_is_recovered() -> None:
    found, copy, orders = shuffled()
    shown = images()
    assert torch.allclose(copy.network(shown), found.network(shown), rtol=0, atol=1e-12)
    for matching, order in zip(alignment.matchings(found, copy, shown, Element()), orders, strict=True):
        assert matching.live.all()
        assert torch.equal(order[matching.places], torch.arange(len(order)))
    each = alignment.matchings(found, copy, shown, Element())
    back = conjugated(copy, Element(), [matching.places for matching in each])
    assert max(alignment.distance(found, back, each)) == 0
    assert min(alignment.distance(found, copy, each)) > 0.3


def test_the_order_of_channels_changes_no_reading() -> None:
    found, copy, _ = shuffled()
    means, each = alignment.held_out(found, found, images(), QUARTER)
    again, other = alignment.held_out(copy, copy, images(), QUARTER)
    assert again == pytest.approx(means, rel=1e-9)
    assert [alignment.law(one, QUARTER) for one in other] == [alignment.law(one, QUARTER) for one in each]


def test_merging_with_itself_turned_changes_nothing_of_an_exact_network() -> None:
    found, shown = chain(small(P4)), images()
    each = alignment.matchings(found, found, shown, QUARTER)
    places = [matching.places for matching in each]
    fresh = merged(found, found, shown)  # the same weights under the images' own statistics
    turned = merged(found, conjugated(found, QUARTER, places), shown)
    assert torch.allclose(turned.network(shown), fresh.network(shown), rtol=0, atol=1e-9)
    wrong = merged(found, conjugated(found, BACK, places), shown)
    assert not torch.allclose(wrong.network(shown), fresh.network(shown), rtol=0, atol=1e-2)
    ordinary = chain(small(TRIVIAL, 9))
    places = [one.places for one in alignment.matchings(ordinary, ordinary, shown, QUARTER)]
    halfway = merged(ordinary, conjugated(ordinary, QUARTER, places), shown)
    fresh = merged(ordinary, ordinary, shown)
    assert not torch.allclose(halfway.network(shown), fresh.network(shown), rtol=0, atol=1e-2)


@pytest.mark.parametrize("left", ["columns", "bias", "statistics", "head"])
def test_planted_faults_change_the_conjugate(left: str) -> None:
    """What a careless permutation leaves behind is seen: the copy is another function then."""
    found, copy, _ = shuffled()
    shown, planted = images(), copy.network
    names = {
        "columns": "conv2.weight",
        "bias": "conv3.bias",
        "statistics": "norm2.running_mean",
        "head": "linear.weight",
    }
    with torch.no_grad():
        planted.state_dict()[names[left]].copy_(found.network.state_dict()[names[left]])
    assert not torch.allclose(planted(shown), found.network(shown), rtol=0, atol=1e-4)


def test_dead_channels_count_for_nothing() -> None:
    network = small(P4)
    with torch.no_grad():
        dict(network.named_parameters())["norm2.bias"][0] = -100.0
    found = alignment.measure(network, images(), P4)
    assert found["relu2"] == {"correlation": pytest.approx(1, abs=1e-9), "law": 1.0}
    assert max(one["matched"] for one in subspace.measure(network, images(), P4).values()) < 1e-12


def test_weights_are_blind_to_the_grid() -> None:
    """At 13 pixels the pool breaks the symmetry: features see it, distances of weights do not."""
    shown = sample_images(24, 1, 13).double()
    assert alignment.measure(small(P4), shown, P4)["relu3"]["correlation"] < 0.999
    assert all(one["outside"] < 1e-12 for one in subspace.measure(small(P4), shown, P4).values())


def test_networks_that_are_no_chains_are_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"norm \(LayerNorm\) stands in no chain"):
        chain(nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 2, 3), norm=nn.LayerNorm(10), relu=nn.ReLU())))
    with pytest.raises(UserError, match="is no chain of convolutions, norms and ReLUs with a linear head"):
        chain(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()))
