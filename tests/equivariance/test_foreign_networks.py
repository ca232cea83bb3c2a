"""A sample of the networks in `foreign_networks.py`, which `tox -e zoo` runs whole."""

from __future__ import annotations

import pytest

from tests.equivariance.foreign_networks import NETWORKS, compared


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "size", "verdict"),
    [("mnasnet0_5", 33, "exact"), ("shufflenet_v2_x0_5", 32, "approximate"), ("squeezenet1_1", 33, "approximate")],
)
def test_the_audit_agrees_with_brute_force(name: str, size: int, verdict: str) -> None:
    assert ("torchvision", name) in NETWORKS
    found, row = compared("torchvision", name, size)
    assert found == verdict
    assert row is not None
    assert row.grid == ("symmetric" if verdict == "exact" else "broken")
