"""Networks that change what they are given, remember it, or look at what the images do not show mislead no verdict."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.equivariance.decision import decide
from gcnnbench.equivariance.errors import measure
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.equivariance.size_audit import audit_size
from gcnnbench.nn.groups import P4
from tests.equivariance.small_network import Network, audited, made

# networks that change what they are given


def in_place(images: Tensor) -> Tensor:
    return images.sub_(images.mean((1, 2, 3), keepdim=True)).div_(0.5)


def test_a_network_that_works_in_place_is_measured_right_and_named() -> None:
    shown = sample_images(4, 3, 12)
    before = shown.clone()
    row = audited(lambda: Network(in_place))
    assert row.decision == "exact"
    assert "the network changes its input in place (sub_); it was given copies" in str(row.reason)
    state = measure(made(lambda: Network(in_place)), shown.double(), P4.elements)
    assert state.invariance_error is not None
    assert state.invariance_error < 1e-12
    assert torch.equal(shown, before)


class Counting(Network):
    """A buffer that every pass changes, and that the output depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        self.get_buffer("passes").add_(1)
        return super().forward(images) * self.get_buffer("passes")


def test_every_pass_starts_from_the_same_buffers() -> None:
    network = made(Counting)
    assert audit_size(lambda _: network, 12, P4, 3).decision == "exact"
    assert float(network.get_buffer("passes")) == 0


class Frozen(Network):
    """An asymmetric filter that its `train` always leaves in force, and a dropout that is never switched off."""

    def __init__(self) -> None:
        super().__init__()
        self.flag = True

    def train(self, mode: bool = True) -> Frozen:
        self.flag = not mode
        return super().train(mode)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images[..., 1:, :-1] if self.flag else images)


def test_the_mode_is_the_one_that_eval_reaches() -> None:
    network = Frozen().train()
    assert audit_size(lambda _: network, 12, P4, 3).decision == "approximate"
    assert network.flag is False
    assert all(module.training for module in network.modules())


def test_a_network_that_is_random_in_evaluation_mode_is_unknown() -> None:
    network = made(lambda: Network(lambda x: F.dropout(x, 0.1, training=True)))
    decision = decide(network, sample_images(4, 3, 12), P4, fan_in=100)
    assert decision.verdict == "unknown"
    assert "draws random numbers in evaluation mode" in str(decision.reason)
    harmless = made(lambda: Network(lambda x: x + 0 * torch.rand(3, 1, 1, dtype=x.dtype)))
    assert decide(harmless, sample_images(4, 3, 12), P4, fan_in=100).verdict == "exact"


# what the images given do not show


class ByCorner(Network):
    """Goes another way for images whose first pixel is bright; no digit's is."""

    def forward(self, images: Tensor) -> Tensor:
        bright = images[:, 0, 0, 0] > images[:, 0].mean((-2, -1))
        return super().forward(torch.where(bright[:, None, None, None], images.tanh() * 2, images))


def test_a_break_that_the_images_do_not_show_is_found_on_noise() -> None:
    row = audited(ByCorner)
    assert row.decision == "approximate"
    assert row.invariance_error is not None
    assert row.invariance_error < 1e-12
    assert row.error is not None
    assert row.error > 1e-3
    assert "given, on noise; " in str(row.reason)
    assert "on the images it is exact: what it does depends on them" in str(row.reason)


def test_noise_on_which_nothing_can_be_told_changes_no_verdict() -> None:
    class Rooted(Network):
        """Finite for images whose corner is dark only."""

        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images * (images[:, :1, :1, :1] <= images.mean()).to(images.dtype).log().add(1))

    assert audited(Rooted).decision == "exact"


class InMemory(Network):
    """Reads its images from memory, row by row, as a kernel of one's own may; then a filter that is only mirrored."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Parameter(torch.randn(3, 3, 3, 3))

    def forward(self, images: Tensor) -> Tensor:
        seen = images.as_strided(images.shape, torch.empty(images.shape).stride())
        symmetric = sum((self.filters.flip(dims) for dims in ((), (-1,), (-2,), (-1, -2))), torch.zeros(()))
        return super().forward(F.conv2d(seen, symmetric, padding=1))


def test_moved_images_lie_in_memory_as_images_do() -> None:
    assert audited(InMemory).decision == "approximate"


class Remembering(Network):
    """Answers as it did when it first saw images of that shape; what it does is broken."""

    def __init__(self) -> None:
        super().__init__(lambda images: images * torch.linspace(0, 1, images.shape[-1], dtype=images.dtype))
        self.kept: dict[torch.Size, Tensor] = {}

    def forward(self, images: Tensor) -> Tensor:
        if images.shape not in self.kept:
            self.kept[images.shape] = super().forward(images)
        return self.kept[images.shape]


class BesideTheFirst(Network):
    """Every image less the first one of its batch."""

    def __init__(self) -> None:
        super().__init__(lambda images: images - images[:1])


@pytest.mark.parametrize("make", [Remembering, BesideTheFirst])
def test_a_network_that_does_not_follow_its_images_is_unknown(make: type[Network]) -> None:
    row = audited(make)
    assert row.decision == "unknown"
    assert "images in another order do not give the outputs in that order" in (row.reason or "")


def test_a_complex_output_is_named() -> None:
    class Complex(Network):
        def forward(self, images: Tensor) -> Tensor:
            logits = super().forward(images)
            return torch.complex(logits, logits)

    row = audited(Complex)
    assert row.decision == "unknown"
    assert "the output is complex; put out its real and imaginary part as channels" in (row.reason or "")
