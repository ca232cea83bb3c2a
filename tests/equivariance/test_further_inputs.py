"""What is exact on a few real images may break for other values and batch sizes; a verdict says where it holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.equivariance.audit import Audit, audit
from gcnnbench.equivariance.decision import decide
from gcnnbench.equivariance.further_inputs import MOST_MACS, Inputs, in_words
from gcnnbench.equivariance.nearby import Nearby
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.equivariance.size_audit import SizeAudit
from gcnnbench.equivariance.wording import legend, words
from gcnnbench.nn.groups import P4
from tests.equivariance.symmetric import isotropic


class Network(nn.Module):
    """Two isotropic convolutions and the mean over all pixels, behind something with the images."""

    def __init__(self, first: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first = first
        convolutions = (isotropic(nn.Conv2d(channels, 6, 3, padding=1)) for channels in (3, 6))
        self.body = nn.Sequential(next(convolutions), nn.ReLU(), next(convolutions))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.body(self.first(images)).mean((-2, -1))
        return logits


def audited(first: Callable[[Tensor], Tensor]) -> SizeAudit:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = Network(first)
    return audit(network, [12], P4, channels=3, name="network").sizes[0]


def ramp_where(condition: Callable[[Tensor], bool]) -> Callable[[Tensor], Tensor]:
    """A ramp along the rows is added where the condition holds for a batch."""
    return lambda x: x + x.abs().amax() * torch.linspace(-1, 1, x.shape[-1], dtype=x.dtype) if condition(x) else x


IN_BATCHES: dict[str, Callable[[Tensor], bool]] = {
    "one image": lambda x: len(x) == 1,
    "an odd number of images": lambda x: len(x) % 2 == 1 and len(x) > 1,
    "many images": lambda x: len(x) > 64,
}
IN_RANGES: dict[str, Callable[[Tensor], bool]] = {
    "large values": lambda x: float(x.max()) > 3,
    "small values": lambda x: float(x.abs().max()) < 0.1,
    "no positive value": lambda x: float(x.max()) <= 0,
    "no negative value": lambda x: float(x.min()) >= 0,
    "values far below zero": lambda x: float(x.mean()) < -2,
}


@pytest.mark.parametrize("name", IN_BATCHES)
def test_a_break_at_some_batch_sizes_is_found_and_told(name: str) -> None:
    row = audited(ramp_where(IN_BATCHES[name]))
    assert (row.certificate, row.decision, row.disagreement) == ("unknown", "approximate", False), row.reason
    assert "on the images it is exact: what it does depends on how many images it is shown at once" in str(row.reason)
    assert row.invariance_error is not None
    assert row.invariance_error < 1e-12, "the images as they are show nothing of it"


@pytest.mark.parametrize("name", IN_RANGES)
def test_a_break_in_some_ranges_is_found_and_told(name: str) -> None:
    row = audited(ramp_where(IN_RANGES[name]))
    assert (row.decision, row.disagreement) == ("approximate", False), row.reason
    assert "on the images it is exact: what it does depends on the range of its inputs" in str(row.reason)


def test_an_exact_network_says_for_which_inputs() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = Network(lambda x: x)
    found = audit(network, [12], P4, channels=3, name="network")
    read = [words(found, row) for row in found.sizes]
    told = "inputs from −1 to 1 in batches of 4, 1, 3 and 128; 0 to 255, −16 to 0 and −0.01 to 0.01 in batches of 2"
    assert f"measured exact at 12 for {told}" in legend(found, read)
    assert f"inputs from {found.sizes[0].document()['inputs']}" == told
    assert found.sizes[0].left_open == ()


def test_a_break_there_stands_in_the_legend() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = Network(ramp_where(IN_RANGES["large values"]))
    found = audit(network, [12], P4, channels=3, name="network")
    (told,) = (line for line in legend(found, ["not equivariant"]) if line.startswith("12: "))
    assert "with the weights drawn, on 0 to 255 in batches of 2" in told
    assert not any("measured exact" in line for line in legend(found, ["not equivariant"]))


def test_what_cannot_be_judged_there_is_not_claimed() -> None:
    def only_many(images: Tensor) -> Tensor:
        if len(images) == 1:
            raise RuntimeError("takes no single image")
        return images.clamp(-20, 20) if images.max() < 20 else images * float("inf")

    row = audited(only_many)
    assert row.decision == "exact"
    assert row.inputs == "−1 to 1 in batches of 4 and 128; −16 to 0 and −0.01 to 0.01 in batches of 2"
    few, large = row.left_open
    assert few == "with the weights drawn, on −1 to 1 in batches of 1 and 3: RuntimeError: takes no single image"
    assert large.startswith("with the weights drawn, on 0 to 255 in batches of 2: the output is not finite")
    assert row.document()["left_open"] == [few, large]
    told = legend(Audit("network", P4, (row,), Nearby(lambda _: nn.Identity(), P4, 3)), ["not proved; measured exact"])
    assert [line for line in told if "left open" in line] == [f"left open at 12, {few}", f"left open at 12, {large}"]


class _SpeechlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def _fails(_: Tensor) -> Tensor:
    raise _SpeechlessError


OF_MANY: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "constant": (lambda y: y * 0 + 1, "the output is the same for all images, so nothing can be told from it"),
    "fewer": (lambda y: y[:2], "the output for 128 images has the shape (2, 6)"),
    "one number": (
        lambda y: y.sum(),
        "the output is one number; the audit needs one or more for each image: wrap the network in a module whose "
        "forward returns the logits",
    ),
    "classes": (lambda y: y.argmax(1), "the output is torch.int64, not floating point; put out the scores behind it"),
    "complex": (lambda y: y + 1j, "the output is complex; put out its real and imaginary part as channels"),
    "infinite": (lambda y: y * float("inf"), "the output is not finite"),
    "without words": (_fails, "_SpeechlessError: without a word"),
}


@pytest.mark.parametrize("name", OF_MANY)
def test_what_is_odd_for_many_images_alone_is_told_as_it_is(name: str) -> None:
    odd, told = OF_MANY[name]

    class Odd(Network):
        def forward(self, images: Tensor) -> Tensor:
            logits = super().forward(images)
            return odd(logits) if len(images) > 64 else logits

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = Odd(lambda x: x)
    row = audit(network, [12], P4, channels=3, name="network").sizes[0]
    assert row.decision == "exact"
    assert row.left_open == (f"with the weights drawn, on −1 to 1 in batches of 128: {told}",)


def test_noise_that_a_network_does_not_take_is_left_open() -> None:
    images = sample_images(4, 3, 12)

    def no_noise(shown: Tensor) -> Tensor:
        if shown.shape == images.shape and float(shown[..., 0, 0].std()) > 0.1:
            raise RuntimeError("corners are dark")
        return shown

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        decision = decide(Network(no_noise), images, P4, fan_in=100)
    assert decision.verdict == "exact"
    assert "with the weights given, on noise: RuntimeError: corners are dark" in decision.left_open


def test_a_large_batch_is_tried_only_where_it_is_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gcnnbench.equivariance.further_inputs.MOST_MACS", MOST_MACS // 1000)
    row = audited(ramp_where(IN_BATCHES["many images"]))
    assert row.decision == "exact"
    assert "128" not in str(row.inputs)
    (told,) = row.left_open
    assert told.endswith("in batches of 128: it takes more than 1e+06 multiply-accumulates")


def test_statistics_of_a_batch_break_no_symmetry() -> None:
    row = audited(lambda x: x - x.mean((0, 2, 3), keepdim=True))
    assert row.decision == "exact", row.reason


def test_errors_on_further_inputs_enter_no_record_of_an_exact_network() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = Network(lambda x: x * 3)
    decision = decide(network, sample_images(4, 3, 12), P4, fan_in=100)
    assert len(decision.inputs) > 4
    assert [state.state for state in decision.states] == ["given", "drawn"]


def test_ranges_and_batches_are_told_once_each() -> None:
    some = [Inputs(-1, 1, (4,)), Inputs(0, 255, (2,)), Inputs(-1, 1, (1, 3)), Inputs(0, 1, (2,))]
    assert in_words(some) == "−1 to 1 in batches of 4, 1 and 3; 0 to 255 and 0 to 1 in batches of 2"
    assert str(Inputs(0, 1, (7,))) == "0 to 1 in batches of 7"
