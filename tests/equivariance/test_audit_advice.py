"""What cannot be audited is said with its cause and what would be right, not as a matter of channels or sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.equivariance.assertion import assert_equivariant
from gcnnbench.equivariance.audit import audit
from gcnnbench.equivariance.wording import legend
from gcnnbench.errors import UserError
from gcnnbench.nn.fields import Field, Invariant, RegularField, ScalarField
from gcnnbench.nn.groups import P4


class Pixelwise(nn.Module):
    """Logits made of each pixel alone, put out in another form."""

    def __init__(self, form: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.linear, self.form = nn.Linear(1, 5), form

    def forward(self, images: Tensor) -> Any:
        return self.form(self.linear(images.mean((-2, -1))))


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (lambda logits: {"out": logits}, "the output is of class dict; the audit needs one tensor"),
        (lambda logits: logits.mean(), "the output is one number; the audit needs one or more for each image"),
    ],
)
def test_an_output_of_another_form_is_no_matter_of_channels(form: Callable[[Tensor], Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        audit(Pixelwise(form), [12], name="theirs")
    assert "channels" not in str(raised.value)
    with pytest.raises(UserError, match=message):
        audit(Pixelwise(form), [12], channels=1, name="theirs")


@pytest.mark.parametrize("output", [ScalarField(), RegularField(P4)])
def test_an_output_that_cannot_be_of_the_field_asked_for_is_said(output: Field) -> None:
    (row,) = audit(Pixelwise(lambda logits: logits[:, 0]), [12], channels=1, output=output).sizes
    assert row.decision == "unknown"
    assert f"an output of one number an image is no {type(output).__name__}" in str(row.reason)


def quantised() -> nn.Module:
    network = nn.Sequential(nn.Conv2d(1, 8, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    return torch.ao.quantization.quantize_dynamic(network, {nn.Linear})  # type: ignore[no-any-return]


class Listed(nn.Module):
    """Holds a layer in a list of Python."""

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.linear = [nn.Conv2d(1, 3, 1)], nn.Linear(3, 5)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.layers[0](images).mean((-2, -1)))
        return logits


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (quantised, "3 is a quantised Linear, which has no float64: audit the network before it is quantised"),
        (Listed, "the modules in layers are not its children: hold them in an nn.ModuleList"),
    ],
)
def test_what_no_conversion_reaches_is_named(make: Callable[[], nn.Module], message: str) -> None:
    (row,) = audit(make(), [12], channels=1).sizes
    assert row.decision == "unknown"
    assert message in str(row.reason)


@pytest.mark.parametrize("call", [audit, assert_equivariant])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sizes": 15}, "sizes \\(=15\\) must be at least one input size"),
        ({"sizes": []}, "sizes \\(=\\[\\]\\) must be at least one input size"),
        ({"sizes": ["15"]}, "sizes \\(=\\['15'\\]\\) must be"),
        ({"sizes": [15], "group": "p5"}, "p5"),
        ({"sizes": [15], "output": "scalar"}, "output \\(='scalar'\\) must be a field"),
    ],
)
def test_a_mistake_in_a_call_is_said(call: Callable[..., Any], given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        call(Pixelwise(lambda logits: logits), **given)


def test_a_group_may_be_named() -> None:
    (row,) = audit(Pixelwise(lambda logits: logits), [12], "p4m", channels=1, output=Invariant()).sizes
    assert row.decision == "exact"


def test_a_map_that_was_judged_as_logits_is_told_how_to_ask() -> None:
    network = nn.Conv2d(1, 2, 1)
    found = audit(network, [12], channels=1)
    assert found.sizes[0].decision == "approximate"
    assert any(line.startswith("12: the output is a map, judged as logits") for line in legend(found, []))
    with pytest.raises(AssertionError, match="--output scalar"):
        assert_equivariant(network, sizes=[12], channels=1)
    as_asked = audit(network, [12], channels=1, output=ScalarField()).sizes[0]
    assert (as_asked.decision, as_asked.advice) == ("exact", None)


def test_logits_that_turns_change_are_not_told_to_be_a_map() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    row = audit(network, [12], channels=1).sizes[0]
    assert (row.decision, row.advice) == ("approximate", None)


def test_a_map_with_its_channels_last_is_told_to_permute() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 1)

        def forward(self, images: Tensor) -> Tensor:
            return cast("Tensor", self.conv(images).permute(0, 2, 3, 1))

    row = audit(Last(), [12], channels=1, output=ScalarField()).sizes[0]
    assert (row.decision, row.certificate, row.disagreement) == ("approximate", "unknown", False)
    assert "permute its axes" in str(row.advice)


def test_logits_of_one_pixel_are_no_map() -> None:
    layers = (nn.Conv2d(1, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 10, 3))
    one, several = (audit(nn.Sequential(*layers), [size], channels=1).sizes[0] for size in (15, 19))
    assert one.advice is None
    assert "the output is a map" in str(several.advice)
