"""`pytest-equivariance`, the light plug-in beside the suite, on networks of three foreign code bases.

Its tests run in processes of their own, as a user's do; `tox -e plugin` runs these with the plug-in installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

PLUGIN = Path(__file__).resolve().parents[2] / "benchmark" / "pytest-equivariance"
sys.path.insert(0, str(PLUGIN))

from pytest_equivariance import arithmetic, measuring  # noqa: E402

FILE = """
import pytest
from torch import nn
from torch.nn.utils import parametrize


class Turned(nn.Module):
    def forward(self, weight):
        turned = [weight.rot90(t, (-2, -1)) for t in range(4)]
        return sum(turned + [one.flip(-1) for one in turned]) / 8


def isotropic(network):
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1):
            parametrize.register_parametrization(layer, "weight", Turned())
    return network


class Strided(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten())
        isotropic(self)


@pytest.mark.equivariance(sizes=[10])
def test_exact(assert_equivariant):
    assert_equivariant(Strided, "p4m")


def test_broken(assert_equivariant):
    assert_equivariant(Strided, sizes=[11])


def test_torchvision(assert_equivariant):
    from torchvision.models import squeezenet1_1
    assert_equivariant(lambda: isotropic(squeezenet1_1(num_classes=4)), sizes=[31], change_weights=False)


def test_torchvision_plain(assert_equivariant):
    from torchvision.models import squeezenet1_1
    assert_equivariant(lambda: squeezenet1_1(num_classes=4), sizes=[31], dtypes=["float64"], change_weights=False)


def test_e2cnn(assert_equivariant):
    from e2cnn import gspaces, nn as enn

    class Steerable(nn.Module):
        def __init__(self):
            super().__init__()
            space = gspaces.Rot2dOnR2(4)
            images = enn.FieldType(space, 3 * [space.trivial_repr])
            fields = enn.FieldType(space, 2 * [space.regular_repr])
            self.images = images
            layers = enn.R2Conv(images, fields, 3), enn.ReLU(fields), enn.PointwiseMaxPool(fields, 2)
            self.body = enn.SequentialModule(*layers)
            self.pool = enn.GroupPooling(fields)

        def forward(self, images):
            return self.pool(self.body(enn.GeometricTensor(images, self.images))).tensor.mean((-2, -1))

    assert_equivariant(Steerable, sizes=[8], dtypes=["float64"])
"""
TIMM = """

def test_timm(assert_equivariant):
    import timm
    assert_equivariant(lambda: isotropic(timm.create_model("lcnet_035", num_classes=4)), sizes=[33], dtypes=["float64"])


def test_timm_vit(assert_equivariant):
    import timm
    assert_equivariant(lambda: timm.create_model("test_vit", num_classes=4), sizes=[160], dtypes=["float64"])
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A user's pytest in a process of its own, where the plug-in is not installed by its path."""
    installed = any("equivariance" in str(one) for one in _entry_points())
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments]
    words += [] if installed else ["-p", "pytest_equivariance.plugin"]
    environment = os.environ | {"PYTHONPATH": str(PLUGIN), "OMP_NUM_THREADS": "1"}
    return subprocess.run(words, capture_output=True, text=True, cwd=folder, env=environment, check=False)


def _entry_points() -> list[str]:
    from importlib.metadata import entry_points

    return [one.value for one in entry_points(group="pytest11") if one.value.startswith("pytest_equivariance")]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """One run of all of it on two workers, with a report and JUnit."""
    folder = tmp_path_factory.mktemp("theirs")
    (folder / "test_theirs.py").write_text(FILE + (TIMM if find_spec("timm") else ""))
    (folder / "pytest.ini").write_text("[pytest]\nequivariance_group = p4\n")
    return folder, run(folder, "-n", "2", "--equivariance-report=out/report.json", "--junitxml=junit.xml")


def test_exact_networks_pass_and_broken_ones_fail(ran: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, ended = ran
    cases = ET.parse(folder / "junit.xml").getroot().iter("testcase")
    failed = {case.get("name") for case in cases if case.find("failure") is not None}
    expected = {"test_broken", "test_torchvision_plain"} | ({"test_timm_vit"} if find_spec("timm") else set())
    assert failed == expected, ended.stdout
    assert "error" not in ended.stdout.splitlines()[-1]


def test_a_failure_names_layer_size_and_repair(ran: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    out = ran[1].stdout
    assert "Strided is not equivariant under p4 at input size 11 in float64 with the weights given" in out
    assert "first break: 2 (MaxPool2d, kernel 2, stride 2, padding 0) sees 9 rows" in out
    assert "mod 2 = 1 must be 0" in out
    assert "repair: it is exact at 10 and 12 pixels" in out
    assert "first break: features.0 (Conv2d, kernel 3, stride 2, padding 0)" in out


def test_report_and_junit_hold_what_was_measured_by_workers_too(
    ran: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    measured = json.loads((ran[0] / "out" / "report.json").read_text())["measured"]
    exact = [one for one in measured if one["test"].endswith("test_exact")]
    assert {(one["group"], one["size"], one["dtype"], one["weights"]) for one in exact} == {
        ("p4m", 10, dtype, weights) for dtype in ("float64", "float32") for weights in ("given", "changed")
    }
    assert all(one["error"] <= one["bound"] and one["verdict"] == "exact" for one in exact)
    bounds = {one["dtype"]: one["bound"] for one in exact if one["weights"] == "given"}
    assert bounds["float32"] == pytest.approx(bounds["float64"] * 2**29)
    properties = [one.get("name") for one in ET.parse(ran[0] / "junit.xml").getroot().iter("property")]
    assert properties.count("equivariance") == len(measured)


def test_what_is_asked_wrongly_is_said(tmp_path: Path) -> None:
    (tmp_path / "test_wrong.py").write_text(
        "import pytest\nfrom torch import nn\n\n"
        "def test_no_sizes(assert_equivariant):\n    assert_equivariant(nn.Flatten())\n\n"
        "def test_group(assert_equivariant):\n    assert_equivariant(nn.Flatten(), 'p6', sizes=[4])\n\n"
        "def test_object(assert_equivariant):\n    assert_equivariant(3, sizes=[4])\n\n"
        "@pytest.mark.equivariance(size=4)\ndef test_marker(assert_equivariant):\n    pass\n"
    )
    out = run(tmp_path, "-n", "0").stdout
    assert "assert_equivariant needs sizes" in out
    assert "group (='p6') must be one of p2, pm, p4, p4m" in out
    assert "3 is no torch.nn.Module and makes none" in out
    assert "the marker equivariance takes group, sizes, channels, dtypes by name" in out


def test_the_plugin_imports_nothing_heavy() -> None:
    code = "import sys, pytest_equivariance.plugin; assert not {'torch', 'numpy'} & sys.modules.keys()"
    environment = os.environ | {"PYTHONPATH": str(PLUGIN)}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


class Late(nn.Module):
    """A residual branch that starts at zero and is not equivariant."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        nn.init.zeros_(self.branch.weight)

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = (images + self.branch(images)).relu()
        return maps.square().mean((-2, -1))


def test_a_break_that_starts_at_zero_is_seen_with_changed_weights() -> None:
    found = {one.weights: one.verdict for one in measuring.judge(Late(), 6, "p4", dtypes=["float64"])}
    assert found == {"given": "exact", "changed": "broken"}


def test_scalar_maps_turn_with_the_image_and_a_transposed_one_does_not() -> None:
    assert {one.verdict for one in measuring.judge(nn.AvgPool2d(3, 1), 7, "p4m", output="scalar")} == {"exact"}
    transposed = nn.Sequential(nn.AvgPool2d(3, 1), _Transposed())
    found = measuring.judge(transposed, 7, "p4", output="scalar", dtypes=["float64"])
    assert {one.verdict for one in found} == {"broken"}


class _Transposed(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return maps.transpose(-2, -1)


@pytest.mark.parametrize("setting", ["medium", "high", "highest"])
def test_float32_is_measured_in_full_whatever_the_process_has_set(setting: str) -> None:
    matmul: Any = arithmetic.ONEDNN.matmul
    seen: list[tuple[torch.dtype, str]] = []

    class Watched(nn.Linear):
        def forward(self, images: Tensor) -> Tensor:
            seen.append((images.dtype, matmul.fp32_precision))
            return super().forward(images.mean((-2, -1)))

    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(setting)
        held = matmul.fp32_precision
        measuring.judge(Watched(3, 5), 8, "p4")
        assert {precision for dtype, precision in seen if dtype is torch.float32} == {"ieee"}
        assert (matmul.fp32_precision, torch.get_float32_matmul_precision()) == (held, setting)
    finally:
        torch.set_float32_matmul_precision(before)


def test_autocast_around_a_test_does_not_lower_what_is_measured_and_stays() -> None:
    seen: list[torch.dtype] = []

    class Watched(nn.Linear):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(super().forward(images.mean((-2, -1))).dtype)
            return super().forward(images.mean((-2, -1)))

    with torch.autocast("cpu"):
        found = measuring.judge(Watched(3, 5), 8, "p4")
        assert torch.is_autocast_enabled("cpu")
    assert torch.bfloat16 not in seen
    assert torch.float32 in seen
    assert all(one.error <= one.bound for one in found)


@pytest.mark.parametrize("older", [False, True], ids=["a setting for each operation", "the older switch alone"])
def test_the_precision_comes_back_where_the_network_raises(older: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    matmul: Any = arithmetic.ONEDNN.matmul
    before = torch.get_float32_matmul_precision()
    if older:
        monkeypatch.setattr(arithmetic, "ONEDNN", object())
    try:
        torch.set_float32_matmul_precision("medium")
        held = matmul.fp32_precision
        with pytest.raises(ValueError, match="ieee"), arithmetic.full_precision():
            raise ValueError(matmul.fp32_precision)
        assert (matmul.fp32_precision, torch.get_float32_matmul_precision()) == (held, "medium")
    finally:
        torch.set_float32_matmul_precision(before)


def test_the_network_is_left_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    before = {name: one.clone() for name, one in network.state_dict().items()}
    state = torch.random.get_rng_state()
    measuring.judge(network, 6, "p4")
    assert network.training
    assert all(torch.equal(one, network.state_dict()[name]) for name, one in before.items())
    assert torch.equal(state, torch.random.get_rng_state())
