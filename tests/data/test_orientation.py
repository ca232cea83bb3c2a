"""How digits stand in the data sets of rotated MNIST: upright digits here, transposed ones in the published files."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.cards.registry import Registry
from gcnnbench.data.files import faults
from gcnnbench.data.registered import load_dataset

WEIGHTS = Path(os.environ.get("GCNNBENCH_WEIGHTS", "weights"))
SHA256 = "28e881ca"
IMAGES = 2000


def test_the_cards_name_the_orientation() -> None:
    datasets = Registry.load().datasets
    assert datasets["rotmnist-generated"].orientation == "as-shown"
    assert datasets["rotmnist"].orientation == "transposed"


def released_network() -> nn.Sequential:
    """The Z2CNN of dwromero/att_gconvs at 872259c, trained on the published files of rotated MNIST (MIT).

    `experiments/rot_mnist/saved/model_z2cnn_optim_adam_lr_0.001_wd_0.0001_seed_0/model.pth`; its layers as in
    `experiments/rot_mnist/models/z2cnn.py` there.
    """
    path = WEIGHTS / "att_gconvs" / "z2cnn.pth"
    if not path.is_file():
        pytest.skip(f"{path} is not there; put the released network there, or its folder into GCNNBENCH_WEIGHTS")
    assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(SHA256)
    state = torch.load(path, map_location="cpu", weights_only=True)
    layers: list[nn.Module] = []
    for number in range(1, 7):
        weight = state[f"c{number}.weight"]
        conv, norm = nn.Conv2d(weight.shape[1], 20, 3, bias=False), nn.BatchNorm2d(20, eps=2e-5)
        conv.load_state_dict({"weight": weight})
        norm.load_state_dict({name: state[f"bn{number}.{name}"] for name in norm.state_dict()})
        layers += [conv, norm, nn.ReLU(), *([nn.MaxPool2d(2)] if number == 2 else [])]
    last = nn.Conv2d(20, 10, 4, bias=False)
    last.load_state_dict({"weight": state["c7.weight"]})
    return nn.Sequential(*layers, last, nn.Flatten()).float().eval()


@torch.inference_mode()
def test_a_network_trained_on_the_published_files_knows_transposed_digits_only() -> None:
    """Published: 95.19 % of the 50,000 test images; two thousand have a binomial error of half a point."""
    network, registry = released_network(), Registry.load()
    card = registry.dataset("rotmnist-generated")
    folder = Path(os.environ.get("GCNNBENCH_DATA", "data"))
    if faults(card, folder, content=False):
        pytest.skip(f"the files of MNIST are not in {folder}; set GCNNBENCH_DATA")
    part = load_dataset(registry, card.name, folder)["test"].select(slice(IMAGES))
    images = part.images.float() / 255
    images = (images - images.mean()) / images.std()

    def accuracy(shown: Tensor) -> float:
        return float((network(shown).argmax(1) == part.labels).double().mean())

    assert accuracy(images.transpose(-2, -1)) == pytest.approx(0.952, abs=0.015)
    assert accuracy(images) < 0.6
