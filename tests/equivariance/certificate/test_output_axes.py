"""A field turns the last two axes of the output: pixels that lie elsewhere are not certified."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import Tensor, nn

from gcnnbench.equivariance.audit import audit
from gcnnbench.nn.fields import ScalarField
from tests.equivariance.audited import seeded

FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "channels last": lambda y: y.permute(0, 2, 3, 1),
    "tokens": lambda y: y.flatten(2).mT,
    "flat": lambda y: y[:, 0].flatten(1),
    "channels first": lambda y: y,
    "without channels": lambda y: y[:, 0],
}


class Maps(nn.Module):
    def __init__(self, form: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.form = nn.Conv2d(1, 4, 1), form

    def forward(self, images: Tensor) -> Tensor:
        return self.form(self.conv(images))


@pytest.mark.parametrize("name", FORMS)
def test_pixels_must_be_the_last_two_axes(name: str) -> None:
    (row,) = audit(seeded(lambda: Maps(FORMS[name])), [8], channels=1, output=ScalarField()).sizes
    assert not row.disagreement
    if name in ("channels first", "without channels"):
        assert (row.certificate, row.decision) == ("exact", "exact")
    else:
        assert (row.certificate, row.decision) == ("unknown", "approximate")
        assert "permute" in str(row.reason)
