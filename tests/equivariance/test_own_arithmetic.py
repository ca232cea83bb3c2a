"""Networks with a constant in another precision, with complex weights or with many channels are run as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gcnnbench.equivariance.audit import audit
from gcnnbench.equivariance.certificate.verdict import lattices_of
from gcnnbench.equivariance.learnt import learnt_symmetry
from gcnnbench.equivariance.lie_table import lie_table
from gcnnbench.equivariance.macs import macs
from gcnnbench.equivariance.precision import device_of, dtype_of, in_arithmetic
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.nn.fields import ScalarField, with_field
from gcnnbench.nn.groups import P4


class Standardised(nn.Module):
    """Takes off a mean that numpy has made, in float64; its weights are in float32."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(np.array([0.5])))
        self.conv = with_field(nn.Conv2d(1, 4, 1), ScalarField())
        self.linear = nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        centred = images - self.get_buffer("mean").to(images)[:, None, None]
        logits: Tensor = self.linear(self.conv(centred).relu().mean((-2, -1)))
        return logits


@pytest.mark.parametrize("channels", [1, None])
def test_an_image_is_of_the_precision_of_the_parameters(channels: int | None) -> None:
    found = audit(Standardised(), [8], channels=channels)
    assert (found.channels, found.sizes[0].certificate, found.sizes[0].decision) == (1, "exact", "exact")
    assert found.sizes[0].left_open == ()
    assert lie_table(lambda _: Standardised(), [8], ["rotation"], channels=1, layers=True).rows[-1].layer == "output"
    assert macs(Standardised(), sample_images(2, 1, 8)) == 4 * 64 + 12
    assert set(lattices_of(Standardised(), sample_images(2, 1, 8), ["conv"])) == {"conv"}


def test_a_network_of_buffers_alone_runs_in_their_precision() -> None:
    class Buffers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("weights", torch.randn(3, 4, dtype=torch.float64))

        def forward(self, images: Tensor) -> Tensor:
            return images.mean((-2, -1)) @ self.get_buffer("weights")

    assert audit(Buffers(), [8], channels=3).sizes[0].decision == "exact"


class Mixed(Standardised):
    """Its first parameter is in another precision than the others."""

    def __init__(self, first: Tensor) -> None:
        super().__init__()
        self.first = nn.Parameter(first)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + self.first.to(images)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_arithmetic_is_that_of_most_numbers(dtype: torch.dtype) -> None:
    network = Mixed(torch.tensor(1.5, dtype=dtype))
    assert next(network.parameters()).dtype == dtype
    assert dtype_of(network, torch.rand(2, 1, 8, 8, dtype=torch.float64)) == torch.float32
    found = audit(network, [8], channels=1).sizes[0]
    assert (found.certificate, found.decision) == ("exact", "exact")


def test_the_device_is_that_of_most_numbers() -> None:
    assert device_of(Mixed(torch.ones((), device="meta")), torch.rand(1, device="meta")) == torch.device("cpu")
    assert device_of(nn.Identity(), torch.rand(1, device="meta")) == torch.device("meta")


def test_a_network_in_float64_may_have_a_constant_that_is_no_buffer() -> None:
    class Constant(Standardised):
        def __init__(self) -> None:
            super().__init__()
            self.double()
            self.mixing = torch.rand(3, 3, dtype=torch.float64)

        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) @ self.mixing

    found = audit(Constant(), [8], channels=1).sizes[0]
    assert (found.decision, found.reason) == ("exact", None)


class Complex(nn.Module):
    """Exact where the imaginary part of its weight is zero."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1 + 2j]))

    def symmetric(self) -> None:
        self.weight.data.imag.zero_()

    def forward(self, images: Tensor) -> Tensor:
        return (torch.complex(images.mean((-2, -1)), images[..., 0].mean(-1)) * self.weight).real


def test_complex_weights_stay_complex_in_every_arithmetic() -> None:
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        assert in_arithmetic(Complex(), dtype).get_parameter("weight").is_complex()
    found = learnt_symmetry(Complex(), sample_images(4, 1, 8), P4)
    assert found.wrong(P4) is None
    assert found.trained.verdict(P4) == "approximate"


def test_many_channels_are_audited_on_images_that_all_differ() -> None:
    network = nn.Sequential(nn.Conv2d(512, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert audit(network, [8], channels=512).sizes[0].decision == "exact"
    images = sample_images(4, 1797, 8).flatten(0, 1).flatten(1)
    assert len(images.unique(dim=0)) == len(images)


def test_a_finished_network_keeps_its_mode() -> None:
    network = Standardised().train()
    lie_table(lambda _: network, [8], ["rotation"], channels=1)
    macs(network, sample_images(1, 1, 8))
    assert all(module.training for module in network.modules())
