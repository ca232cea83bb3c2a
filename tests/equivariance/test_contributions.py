"""The decomposition of the Lie derivative by layer: it adds up, is what forward derivatives say, and names the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.cli import main
from gcnnbench.equivariance.contributions import Decomposition, decompose
from gcnnbench.equivariance.lie_table import lie_table
from gcnnbench.equivariance.motions import MOTIONS, STENCILS, Motion, Stencil, generator
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.errors import UserError
from gcnnbench.figures.contributions import draw_contributions, shares_by_kind
from gcnnbench.nn.fields import RegularField, ScalarField, with_field
from gcnnbench.nn.groups import P4

SUM = 1e-12
"""What is left between layers, relative to the whole: the bound of the issue."""


def randomised(network: nn.Module) -> nn.Module:
    """Norms as after training: random statistics and scales."""
    torch.manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.3)
            for buffer, low in ((module.running_mean, -0.3), (module.running_var, 0.5)):
                assert buffer is not None
                buffer.uniform_(low, low + 0.9)
    return network.eval()


def left(found: Decomposition) -> float:
    """‖what is between layers‖ / ‖whole‖."""
    return float((found.between.mean_square / found.whole) ** 0.5)


class Residual(nn.Module):
    """A ReLU that works in place and is called three times, a valid convolution, stride 2, max-pooling, a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.relu, self.pool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        self.down, self.short = nn.Conv2d(4, 6, 3, 2, 1), nn.Conv2d(4, 6, 1, 2)
        self.norm2, self.mean, self.head = nn.BatchNorm2d(6), nn.AdaptiveAvgPool2d(1), nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        features = self.pool(self.relu(self.norm(self.conv(images))))
        joined = self.relu(self.norm2(self.down(features)) + self.short(features))
        logits: Tensor = self.head(self.mean(self.relu(joined)).flatten(1))
        return logits


@pytest.mark.parametrize("stencil", STENCILS)
@pytest.mark.parametrize("motion", ["rotation", "translation-y"])
def test_contributions_add_up_on_a_residual_network(motion: Motion, stencil: Stencil) -> None:
    for size in (16, 19):
        found = decompose(randomised(Residual()), sample_images(3, 1, size), motion, stencil=stencil)
        assert left(found) < SUM
        assert found.refused == {}
        assert [one.layer for one in found.contributions][:4] == ["conv", "norm", "relu", "pool"]
        assert sum(one.share for one in found.contributions) == pytest.approx(1, abs=SUM)
        assert sum(one.mean_square > SUM * found.whole for one in found.contributions) >= 6


@pytest.mark.parametrize("motion", ["rotation", "translation-x"])
def test_contributions_add_up_on_a_resnet_18(motion: Motion) -> None:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    found = decompose(randomised(resnet18(num_classes=2)), sample_images(2, 3, 32), motion)
    assert left(found) < SUM
    assert found.refused == {}
    assert len(found.contributions) == 20 + 20 + 9 + 1 + 1 + 1  # convolutions, norms, ReLUs, two pools, the head
    assert found.whole > 0


@pytest.mark.parametrize("motion", MOTIONS)
def test_each_contribution_is_the_bracket_pushed_forward(motion: Motion) -> None:
    """By forward derivatives from each layer on, where the decomposition goes backwards from the output."""
    torch.manual_seed(1)
    layers = [nn.Conv2d(1, 3, 3, padding=1), nn.GELU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 3, 2, 1), nn.Tanh()]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).double()
    images = sample_images(4, 1, 16).double()
    from gcnnbench.equivariance.certificate.lattice import WHOLE
    from gcnnbench.equivariance.certificate.verdict import lattices_of

    marked = nn.Sequential(*(with_field(layer, ScalarField()) for layer in network))
    places = lattices_of(marked, images, tuple(str(n) for n in range(5)))
    features, at = images, WHOLE
    found = {one.layer: one.mean_square for one in decompose(network, images, motion).contributions}
    for number, layer in enumerate(network):
        moving = generator(features, motion, at) if features.ndim == 4 and features.shape[-1] > 1 else 0 * features
        output, slope, *_ = torch.func.jvp(layer, (features,), (moving,))
        at = places.get(str(number), at)
        bracket = slope - generator(output, motion, at) if output.ndim == 4 and output.shape[-1] > 1 else slope
        rest = nn.Sequential(*list(network)[number + 1 :])
        pushed = torch.func.jvp(rest, (output,), (bracket,))[1]
        assert found[str(number)] == pytest.approx(float(pushed.detach().square().mean()), rel=1e-9, abs=1e-25)
        features = output.detach()


class Between(nn.Module):
    """The same network with a nonlinearity that is a layer, or a function that stands between layers."""

    def __init__(self, *, functional: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.last = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.relu = nn.Identity() if functional else nn.ReLU()
        self.functional, self.mean = functional, nn.AdaptiveAvgPool2d(1)

    def forward(self, images: Tensor) -> Tensor:
        features = self.relu(self.conv(images))
        logits: Tensor = self.mean(self.last(features.relu() if self.functional else features)).flatten(1)
        return logits


def test_a_functional_nonlinearity_is_what_is_between_layers() -> None:
    images = sample_images(4, 1, 12)
    layered, planted = (decompose(Between(functional=way), images, "rotation") for way in (False, True))
    relu = next(one for one in layered.contributions if one.layer == "relu")
    assert relu.mean_square > 1e-3 * layered.whole
    assert planted.between.mean_square == pytest.approx(relu.mean_square, rel=1e-9)
    assert planted.between.share == pytest.approx(relu.share, rel=1e-9)
    assert planted.whole == pytest.approx(layered.whole, rel=1e-12)
    assert next(one for one in planted.contributions if one.layer == "relu").mean_square == 0


class Laid(nn.Module):
    """1×1 products on a map, on a map with the channels last, or on tokens."""

    def __init__(self, layout: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layout, self.stem, self.act = layout, nn.Conv2d(1, 4, 3, 2, 1), nn.Tanh()
        self.mix = nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.stem(images)
        logits: Tensor
        if self.layout == "map":
            logits = self.act(self.mix(features.movedim(1, -1)).movedim(-1, 1)).mean((2, 3))
        elif self.layout == "last":
            logits = self.act(self.mix(features.movedim(1, -1))).mean((1, 2))
        else:
            logits = self.act(self.mix(features.flatten(2).mT)).mean(1)
        return logits


def test_rows_and_columns_are_found_in_any_dimension() -> None:
    """The pixels are not always the last two: the same network in three layouts has the same contributions.

    What the functional mean contributes is between layers, and the same too.
    """
    found = {
        layout: decompose(Laid(layout), sample_images(3, 1, 14), "rotation") for layout in ("map", "last", "tokens")
    }
    expected = [one.mean_square for one in found["map"].contributions]
    assert expected[-1] > 0
    for one in found.values():
        assert one.between.share == pytest.approx(found["map"].between.share, rel=1e-9)
        assert [part.mean_square for part in one.contributions] == pytest.approx(expected, rel=1e-9, abs=1e-25)


class Lost(nn.Module):
    """Tokens behind a class token, which cannot be followed."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.token, self.block = nn.Conv2d(1, 4, 4, 4), nn.Parameter(torch.zeros(1, 1, 4)), nn.Tanh()
        self.head = nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        tokens = torch.cat([self.token, self.stem(images).flatten(2).mT], 1)
        logits: Tensor = self.head(self.block(tokens).sum(1))
        return logits


def test_what_cannot_be_measured_is_refused_by_name() -> None:
    found = decompose(Lost(), sample_images(3, 1, 12), "translation-x")
    assert set(found.refused) == {"block"}
    assert "features (1, 10, 4) lie over the image cannot be followed" in found.refused["block"]
    assert found.between.mean_square > 0
    assert sum(one.share for one in found.contributions) + found.between.share == pytest.approx(1, abs=SUM)


def regular() -> nn.Module:
    torch.manual_seed(0)
    layers = [with_field(nn.Conv2d(1, 4, 3), RegularField(P4)), with_field(nn.Conv2d(4, 3, 3), ScalarField())]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()


def test_regular_features_do_not_turn_by_small_angles_unless_told_to() -> None:
    from gcnnbench.equivariance.targets import resolve

    target = resolve("p4cnn@12")
    network, images = target.make(12), sample_images(2, target.channels or 1, 12)
    refused = decompose(network, images, "rotation").refused
    assert "conv1" in refused
    assert "a RegularField: a rotation by a small angle does not act" in refused["conv7"]
    shifted, told = (decompose(network, images, *way) for way in (("translation-y",), ("rotation",)))
    assert shifted.refused == {}
    told = decompose(network, images, "rotation", as_scalar=True)
    assert told.refused == {}
    assert max(left(shifted), left(told)) < SUM


def test_what_has_no_derivative_or_no_logits_is_an_error() -> None:
    images = sample_images(2, 1, 8)
    with pytest.raises(UserError, match="zero everywhere"):
        decompose(nn.Sequential(nn.Flatten(), nn.Linear(64, 2), nn.Threshold(1e9, 0.0)), images, "rotation")
    with pytest.raises(UserError, match=r"puts out \(1, 2, 8, 8\), no logits"):
        decompose(nn.Conv2d(1, 2, 1), images, "rotation")
    with pytest.raises(UserError, match="a rotation needs square ones"):
        decompose(Residual(), images[..., :6], "rotation")


def test_many_classes_are_estimated_from_random_directions() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 400))
    found = decompose(network, sample_images(2, 1, 9), "rotation")
    _, jvp, *_ = torch.func.jvp(network.double(), (x := sample_images(2, 1, 9).double(),), (generator(x, "rotation"),))
    assert found.probes == 32
    assert left(found) < SUM
    assert found.whole == pytest.approx(float(jvp.detach().square().mean()), rel=1e-9)
    assert sum(one.share for one in found.contributions) == pytest.approx(1, abs=SUM)


def test_the_table_and_its_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = lie_table(lambda _: regular(), [9], ["rotation", "translation-x"], channels=1, layers=True)
    text = table.text("md")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| 9")]
    shown = ["0", "1", "2", "3", "between layers", "output"]
    assert [row[2] for row in rows] == [*shown[2:], *shown]
    assert "its features are a RegularField: a rotation by a small angle does not act (0, 1)" in text
    document = json.loads(table.text("json"))
    assert document["rows"][-1]["mean_square"] == pytest.approx(table.decompositions[9, "translation-x"].whole)
    assert table.text("csv").splitlines()[0] == "size,motion,layer,kind,mean_square,share,relative,interpolation"
    for one in table.decompositions.values():
        assert sum(shares_by_kind(one).values()) == pytest.approx(1)
    written = draw_contributions("regular", table.decompositions, tmp_path / "a" / "shares")
    assert sorted(path.name for path in written) == ["shares-kinds.png", "shares-kinds.svg"]
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["audit", "p4cnn@9", "--lie", "translation-x", "--stencil", "bilinear", "--images", "2"])
    assert "LEE" in capsys.readouterr().out
    with pytest.raises(UserError, match="unknown motion 'shear': one of rotation"):
        lie_table(lambda _: regular(), [9], ["shear"], channels=1)
    wrong = {
        "--lie measures at given sizes": ["p4cnn", "--lie", "rotation"],
        "--layers says nothing without --lie": ["p4cnn@12", "--layers"],
        "--as-scalar says nothing with --lie, without --layers": ["p4cnn@12", "--lie", "rotation", "--as-scalar"],
    }
    for message, words in wrong.items():
        with pytest.raises(SystemExit):
            main(["audit", *words])
        assert message in " ".join(capsys.readouterr().err.split())
