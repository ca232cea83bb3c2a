"""circular-p4cnn-aps under every element of the semidirect product of shifts and quarter turns; its twin beside it."""

from __future__ import annotations

from importlib import import_module
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gcnnbench.architectures.sequence import Network
from gcnnbench.equivariance.size_audit import audit_size
from gcnnbench.errors import UserError
from gcnnbench.nn.groups import CIRCULAR_SHIFTS_P4, P4, Element
from gcnnbench.rewriting.folded import for_scoring
from gcnnbench.rewriting.stacked import Streams, stack


def built(name: str, size: int, *, moved: bool = True) -> Network:
    """In float64, with weights and running statistics away from where they start unless told otherwise."""
    torch.manual_seed(5)
    build = import_module(f"gcnnbench.models.{name}.model").build
    network: Network = build(size=size, channels=1, classes=10, planes=4, dropout=0.3).double().eval()
    with torch.no_grad():
        for key, tensor in network.state_dict().items():
            if moved and tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor) * (0.5 if "running_var" in key else 0.1))
    return network


@torch.no_grad()
def errors(network: nn.Module, images: Tensor) -> dict[Element, float]:
    """The largest error of the logits relative to their spread, under every element of Z_n² ⋊ C4."""
    size = images.shape[-1]
    given = network(images)
    scale = float((given - given.mean(0)).abs().max())
    found = {}
    for turns, down in product(range(4), range(size)):
        elements = [Element(0, turns, (down, right)) for right in range(size)]
        moved = network(torch.cat([g.act(images) for g in elements])).unflatten(0, (size, -1))
        for g, far in zip(elements, (moved - given).abs().amax((1, 2)), strict=True):
            found[g] = float(far) / scale
    return found


@pytest.mark.parametrize("size", [8, 12])
def test_is_exact_under_all_shifts_and_turns(size: int) -> None:
    images = torch.rand(3, 1, size, size).double()
    found = errors(built("circular-p4cnn-aps", size), images)
    assert len(found) == 4 * size**2
    assert max(found.values()) < 1e-10
    assert any(g.inverse.act(images).ne(g.act(images)).any() for g in found)


def test_its_twin_is_exact_under_turns_and_multiples_of_four_alone() -> None:
    found = errors(built("circular-p4cnn", 8), torch.rand(3, 1, 8, 8).double())
    for g, far in found.items():
        whole = all(step % 4 == 0 for step in g.shift)
        assert far < 1e-10 if whole else far > 1e-6, g.name


@pytest.mark.parametrize("own", [Element(turns=2), Element(turns=2, shift=(1, 0)), Element(turns=1, shift=(3, 2))])
def test_images_with_a_symmetry_of_their_own_are_no_exception(own: Element) -> None:
    draws = torch.rand(2, 1, 8, 8).double()
    powers = (Element(), own, own * own, own * own * own)
    images = torch.stack([g.act(draws) for g in powers]).sum(0)
    assert max(errors(built("circular-p4cnn-aps", 8), images).values()) < 1e-10


def test_the_audit_proves_and_measures_it() -> None:
    row = audit_size(lambda size: built("circular-p4cnn-aps", size), 28, CIRCULAR_SHIFTS_P4, 1)
    assert (row.grid, row.certificate, row.decision) == ("symmetric", "exact", "exact"), row.reason
    row = audit_size(lambda size: built("circular-p4cnn", size), 12, CIRCULAR_SHIFTS_P4, 1)
    assert (row.certificate, row.decision, row.first_break) == ("unknown", "approximate", "sampling1")
    row = audit_size(lambda size: built("circular-p4cnn", size), 12, P4, 1)
    assert (row.certificate, row.decision) == ("exact", "exact"), row.reason


def test_it_is_exact_after_some_steps_of_training_too_and_when_folded() -> None:
    network = built("circular-p4cnn-aps", 8, moved=False).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    images, labels = torch.rand(32, 1, 8, 8).double(), torch.randint(10, (32,))
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        loss = cross_entropy(network(images), labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    network.eval()
    for form in (network, for_scoring(network)):
        assert max(errors(form, images[:2]).values()) < 1e-10


def test_seeds_stacked_choose_each_for_itself() -> None:
    networks = [built("circular-p4cnn-aps", 8), built("circular-p4cnn-aps", 8)]
    with torch.no_grad():
        for tensor in networks[1].parameters():
            tensor.add_(torch.randn_like(tensor) * 0.1)
    images = torch.rand(6, 1, 8, 8).double()
    stacked = stack(networks, Streams(torch.device("cpu"))).eval()
    with torch.no_grad():
        alone = torch.cat([network(images) for network in networks], 1)
        assert float((stacked(images.repeat(1, 2, 1, 1)) - alone).abs().max()) < 1e-10


def test_other_sizes_are_refused() -> None:
    with pytest.raises(UserError, match=r"size \(=27\) must be a multiple of 4"):
        built("circular-p4cnn-aps", 27)
