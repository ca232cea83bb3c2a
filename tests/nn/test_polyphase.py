"""Adaptive polyphase sampling: exact under every shift and quarter turn of an even torus; upsampling undoes it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from gcnnbench.errors import UserError
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.fields import RegularField, ScalarField
from gcnnbench.nn.groups import P4, P4M, TRIVIAL, Element, Group
from gcnnbench.nn.polyphase import (
    AdaptivePolyphaseSampling,
    adaptive_polyphase_sampling,
    adaptive_polyphase_upsampling,
)
from gcnnbench.nn.subsampling import PHASES, equivariant_subsample

SIZE = 8


def torus(group: Group, size: int = SIZE) -> Iterator[Element]:
    """All of Z_n² ⋊ H."""
    for point, down, right in product(group.elements, range(size), range(size)):
        yield Element(point.mirrored, point.turns, (down, right))


def coarse_shifts(features: Tensor) -> Tensor:
    """Every circular shift of features (batch, channels, height, width): (height·width, batch, …)."""
    height, width = features.shape[-2:]
    return torch.stack([features.roll(shift, (-2, -1)) for shift in product(range(height), range(width))])


@pytest.mark.parametrize("group", [P4, P4M], ids=lambda group: group.name)
def test_samples_the_same_features_up_to_a_shift_of_their_own(group: Group) -> None:
    features, field = torch.randn(3, 2 * len(group), SIZE, SIZE), RegularField(group)
    coarse, _ = adaptive_polyphase_sampling(features)
    moved = {point: coarse_shifts(field.act(coarse, point)) for point in group.elements}
    for g in torus(group):
        found, _ = adaptive_polyphase_sampling(field.act(features, g))
        alike = (moved[g.point] - found).abs().amax((2, 3, 4))
        assert (alike.amin(0) == 0).all(), g.name


@pytest.mark.parametrize("group", [P4, P4M], ids=lambda group: group.name)
def test_upsampling_gives_the_action_of_the_image_back(group: Group) -> None:
    features, field = torch.randn(3, 2 * len(group), SIZE, SIZE), RegularField(group)
    kept = adaptive_polyphase_upsampling(*adaptive_polyphase_sampling(features))
    for g in torus(group):
        moved = adaptive_polyphase_upsampling(*adaptive_polyphase_sampling(field.act(features, g)))
        assert torch.equal(moved, field.act(kept, g)), g.name


def test_each_undoes_the_other() -> None:
    coarse, phase = torch.randn(64, 3, 4, 5), torch.randint(4, (64,))
    again, same = adaptive_polyphase_sampling(adaptive_polyphase_upsampling(coarse, phase))
    assert torch.equal(again, coarse)
    assert torch.equal(same, phase)
    features = torch.randn(64, 3, 8, 10)
    sampled, phase = adaptive_polyphase_sampling(features)
    back = adaptive_polyphase_upsampling(sampled, phase)
    kept = back != 0
    assert torch.equal(back[kept], features[kept])
    assert int(kept.sum()) == features.numel() // 4
    for image, (row, column) in enumerate(PHASES[number] for number in phase.tolist()):
        assert torch.equal(back[image, :, row::2, column::2], features[image, :, row::2, column::2])


def test_symmetric_images_tie_and_what_is_invariant_does_not_notice() -> None:
    field, head = RegularField(P4), GroupConv(2, 3, 3, group=P4)

    def invariant(features: Tensor) -> Tensor:
        coarse, _ = adaptive_polyphase_sampling(features)
        logits: Tensor = head(_wider(coarse)).relu().mean((-2, -1)).unflatten(1, (3, 4)).amax(2)
        return logits

    draws = torch.randn(2, 8, SIZE, SIZE)
    with torch.no_grad():
        for own in (Element(turns=2), Element(turns=2, shift=(1, 0)), Element(turns=1, shift=(3, 2))):
            powers = [Element(), own, own * own, own * own * own]
            symmetric = torch.stack([field.act(draws, g) for g in powers]).sum(0)
            given = invariant(symmetric)
            for g in torus(P4):
                assert float((invariant(field.act(symmetric, g)) - given).abs().max()) < 1e-12, (own.name, g.name)


def test_the_mean_of_ties_changes_under_shifts() -> None:
    features = torch.randn(1, 1, SIZE, SIZE)
    symmetric = features + features.rot90(2, (-2, -1))
    one, other = (equivariant_subsample(symmetric.roll(shift, -1)) for shift in (0, 1))
    assert (coarse_shifts(one) - other).abs().amax((2, 3, 4)).amin() > 1e-3


def test_planted_faults_are_seen() -> None:
    def by_first_channel(features: Tensor) -> Tensor:
        _, phase = adaptive_polyphase_sampling(features[:, :1])
        return torch.stack([features[i, :, PHASES[p][0] :: 2, PHASES[p][1] :: 2] for i, p in enumerate(phase.tolist())])

    def fixed(features: Tensor) -> Tensor:
        return features[..., ::2, ::2]

    features, field, turn = torch.randn(8, 8, SIZE, SIZE), RegularField(P4), Element(turns=1, shift=(0, 1))
    for faulty in (by_first_channel, fixed):
        expected = coarse_shifts(field.act(faulty(features), turn))
        assert (expected - faulty(field.act(features, turn))).abs().amax((2, 3, 4)).amin(0).max() > 1e-3


def test_odd_sizes_and_a_missing_phase_are_refused() -> None:
    with pytest.raises(UserError, match="needs an even height and width, got 8×7"):
        adaptive_polyphase_sampling(torch.randn(1, 1, 8, 7))
    with pytest.raises(UserError, match=r"phase \(2,\) must hold one number for each image, 3 in all"):
        adaptive_polyphase_upsampling(torch.randn(3, 1, 4, 4), torch.zeros(2, dtype=torch.int64))


def test_gradients_and_memory() -> None:
    features = torch.randn(3, 2, 4, 6, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: adaptive_polyphase_sampling(x)[0], (features,))
    phase = torch.tensor([0, 3, 2])
    assert torch.autograd.gradcheck(lambda x: adaptive_polyphase_upsampling(x, phase), (features,))
    fast = torch.randn(2, 8, 8, 8).contiguous(memory_format=torch.channels_last)
    assert adaptive_polyphase_sampling(fast)[0].is_contiguous(memory_format=torch.channels_last)
    assert repr(AdaptivePolyphaseSampling(P4)) == "AdaptivePolyphaseSampling(group=p4)"


class EncoderDecoder(nn.Module):
    """A dense output: circular p4 convolution – sampling – convolution – upsampling – convolution, with a skip."""

    def __init__(self, *, carried: bool = True) -> None:
        super().__init__()
        self.carried = carried
        self.lift = GroupConv(1, 3, 3, group=P4, in_group=TRIVIAL)
        self.inner = GroupConv(3, 3, 3, group=P4)
        self.last = GroupConv(6, 2, 3, group=P4)
        self.field = RegularField(P4)

    def forward(self, images: Tensor) -> Tensor:
        fine = self.lift(_wider(images)).relu()
        coarse, phase = adaptive_polyphase_sampling(fine)
        coarse = self.inner(_wider(coarse)).relu()
        back = adaptive_polyphase_upsampling(coarse, phase if self.carried else torch.zeros_like(phase))
        dense: Tensor = self.last(_wider(torch.cat([fine, back], 1)))
        return dense


def _wider(features: Tensor) -> Tensor:
    return pad(features, (1, 1, 1, 1), mode="circular")


def test_an_encoder_and_decoder_is_equivariant_under_every_shift_and_turn() -> None:
    network, images = EncoderDecoder(), torch.randn(2, 1, SIZE, SIZE)
    with torch.no_grad():
        given = network(images)
        worst = max(
            float((network(ScalarField().act(images, g)) - network.field.act(given, g)).abs().max()) for g in torus(P4)
        )
        assert worst < 1e-12 * float(given.abs().max()) < 1e-10
        shift = Element(shift=(0, 1))
        without = EncoderDecoder(carried=False)
        assert float((without(shift.act(images)) - shift.act(without(images))).abs().max()) > 1e-3
