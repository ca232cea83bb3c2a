"""What `pytest-equivariance` measures of networks that hide a break, or that nothing can be told from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmark" / "pytest-equivariance"))

from pytest_equivariance import arithmetic, explaining, measuring


class Complex(nn.Module):
    """An invariant and a broken part, as real and imaginary part; complex weights turn one into the other."""

    def __init__(self, *, real: bool = True) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([0.5 + 1j, 1 - 0.7j, 0.3 + 0.9j]))
        self.real = real

    def forward(self, images: Tensor) -> Tensor:
        logits = torch.complex(images.mean((-2, -1)), images[..., :3, 0].mean(-1)) * self.weights
        return logits.real if self.real else logits


@pytest.mark.parametrize("real", [True, False], ids=["complex weights", "a complex output"])
def test_complex_numbers_keep_their_imaginary_parts(real: bool) -> None:
    torch.manual_seed(0)
    network = Complex(real=real)
    assert arithmetic.as_dtype(network, torch.float64).get_parameter("weights").dtype == torch.complex128
    assert {one.verdict for one in measuring.judge(network, 8, "p4")} == {"broken"}


def test_a_single_pixel_is_refused_as_no_element_moves_it() -> None:
    with pytest.raises(ValueError, match=r"size \(=1\) must be at least 2: no element moves a single pixel"):
        measuring.judge(nn.Conv2d(3, 3, 3, padding=1), 1, "p4")


class Normalised(nn.Module):
    """A network with a norm and a number of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.linear = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.norm(self.conv(images)).sigmoid().mean((-2, -1)))
        return logits


class FrozenNorm(Normalised):
    """Keeps its norm in evaluation mode, and its way into a mode returns nothing."""

    def train(self, mode: bool = True) -> None:  # type: ignore[override]
        super().train(mode)
        self.norm.eval()


class SilentNorm(nn.BatchNorm2d):
    def train(self, mode: bool = True) -> None:  # type: ignore[override]
        super().train(mode)


class WithSilentNorm(Normalised):
    def __init__(self) -> None:
        super().__init__()
        self.norm = SilentNorm(4)


class WithExtraState(Normalised):
    def get_extra_state(self) -> dict[str, int]:
        return {"epoch": 1}


@pytest.mark.parametrize("network", [FrozenNorm, WithSilentNorm, WithExtraState])
def test_what_train_returns_and_state_beside_the_tensors_do_not_matter(network: type[nn.Module]) -> None:
    torch.manual_seed(0)
    found = measuring.judge(network(), 8, "p4")
    assert [one.verdict for one in found] == ["exact"] * 4


def test_fan_ins_are_those_of_the_weights_in_the_state() -> None:
    shared = nn.Linear(3, 2)
    network = nn.Sequential(nn.Conv2d(2, 4, 3), shared, shared)
    network.register_buffer("kept", torch.ones(4, 5))
    network.register_buffer("mask", torch.ones(4, 7), persistent=False)
    assert measuring.fan_in(network) == 2 * 9 + 3 + 3 + 5


class Labels(Normalised):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).argmax(-1)


def test_an_output_of_whole_numbers_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="Labels puts out int64: it must put out the scores behind it"):
        measuring.judge(Labels(), 8, "p4")


class Keeping(Normalised):
    def forward(self, images: Tensor) -> Tensor:
        self.features = self.conv(images)
        return super().forward(images)


def test_a_network_that_holds_what_a_pass_with_gradients_left_is_refused_in_words() -> None:
    network = Keeping()
    assert {one.verdict for one in measuring.judge(network, 8, "p4")} == {"exact"}
    network(torch.rand(2, 3, 8, 8))
    with pytest.raises(ValueError, match=r"Keeping cannot be copied .*: give a function that makes a new one"):
        measuring.judge(network, 8, "p4")


class UndefinedWhenTurned(nn.Module):
    """Not a number where the last row is brighter than the first, as in some moved images only."""

    def forward(self, images: Tensor) -> Tensor:
        rising = images[..., -1, :].mean(-1) > images[..., 0, :].mean(-1)
        return images.mean((-2, -1)).masked_fill(rising, torch.nan)


def test_an_output_that_is_not_finite_is_no_exact_one(monkeypatch: pytest.MonkeyPatch) -> None:
    falling = torch.rand(4, 3, 4, 4, dtype=torch.float64) - torch.arange(4, dtype=torch.float64)[:, None]
    monkeypatch.setattr(measuring, "example", lambda *_: falling)
    with pytest.raises(ValueError, match="not finite"):
        measuring.judge(UndefinedWhenTurned(), 4, "p4", change_weights=False)


@pytest.mark.parametrize(
    ("layer", "size", "said"),
    [
        (nn.ConvTranspose2d(1, 2, 3, stride=2, padding=1), 6, "kernel 3, stride 2, padding 1)"),
        (nn.MaxPool2d(2), 7, "padding 0) sees 7 rows: (7 + 2·0 − 1·(2 − 1) − 1) mod 2 = 1 must be 0"),
        (nn.AvgPool2d(2, ceil_mode=True), 7, "(7 + 2·0 − 1·(2 − 1) − 1) mod 2 = 1 must be 0"),
    ],
    ids=["transposed", "pooling", "ceil"],
)
def test_the_sum_is_said_of_windows_over_the_input_only(layer: nn.Module, size: int, said: str) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(layer, nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten()).double()
    broken = explaining.first_break(network, measuring.example(size, 1), "p4")
    assert broken is not None
    assert broken.startswith("0 (")
    assert broken.endswith(said)
