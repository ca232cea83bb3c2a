"""`learnt_at`: exact at the declared symmetric point, free to leave it; planted faults fall."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from gcnnbench.cards.registry import Registry
from gcnnbench.equivariance.exactness import exactness
from gcnnbench.equivariance.learnt import learnt_symmetry
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.equivariance.targets import model_target
from gcnnbench.errors import UserError
from gcnnbench.nn.groups import P4

LEARNT = ("relaxed-p4cnn", "rpp-p4cnn", "projection-p4cnn", "likelihood-p4cnn", "augerino-z2cnn", "ella-p4cnn")


def network(name: str, size: int = 12) -> nn.Module:
    registry = Registry.load()
    made: nn.Module = model_target(registry, registry.model(name)).make(size)
    return made


def judged(made: nn.Module, size: int = 12, channels: int = 1) -> str | None:
    return learnt_symmetry(made, sample_images(8, channels, size), P4).wrong(P4)


@pytest.mark.parametrize("name", LEARNT)
def test_the_claim_of_every_learnt_entry_holds(name: str) -> None:
    made = network(name)
    before = {key: value.clone() for key, value in made.state_dict().items()}
    assert judged(made) is None
    assert all(torch.equal(value, before[key]) for key, value in made.state_dict().items()), "left as it was"


def test_an_exact_network_that_claims_to_be_free_is_refused() -> None:
    made = network("p4cnn")
    vars(made)["symmetric"] = lambda: None
    assert "its freedom must be approximate and is exact" in str(judged(made, channels=3))


def test_a_network_without_a_symmetric_point_is_refused() -> None:
    with pytest.raises(UserError, match="no module of the network has `symmetric"):
        judged(network("z2cnn"))


@pytest.mark.parametrize("name", LEARNT)
def test_a_symmetric_point_that_is_none_is_refused(name: str) -> None:
    """Planted in each system: the free path, weights, bank, likelihood or width stay as they were drawn."""
    made: Any = network(name)
    for module in made.modules():
        if callable(getattr(module, "symmetric", None)):
            vars(module)["symmetric"] = lambda: None
    assert "its form must be exact and is approximate" in str(judged(made))


def test_an_odd_size_is_no_form() -> None:
    assert "its form must be exact" in str(judged(network("relaxed-p4cnn", 13), 13))


@pytest.mark.parametrize("name", [*LEARNT, "p4cnn-free"])
def test_no_certificate_vouches_for_a_symmetry_that_is_learnt(name: str) -> None:
    """With its weights drawn the network is approximate, and a certificate that says *exact* would contradict it."""
    found = exactness(network(name), sample_images(8, 1, 12), P4)
    assert (found.certificate, found.decision) == ("unknown", "approximate")
    assert found.grid == "symmetric" or name.startswith("augerino")
