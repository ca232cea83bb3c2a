"""Every verdict on the zoo's page against a brute force that shares no code with the audit. Run by `tox -e zoo`.

The oracle runs them in float64, with the weights as given and others, and compares the outputs of an image and of its
moved copies. GCNNBENCH_CHECKOUTS names the folder with clones; a network that is not here fails, for a skip is no pass.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.equivariance.targets import importable
from gcnnbench.zoo.auditing import EXACT
from gcnnbench.zoo.building import find, target
from gcnnbench.zoo.cards import ZooCard, ZooNetwork, read_zoo

PAGE = Path(__file__).resolve().parents[2] / "docs" / "zoo.md"
CHECKOUTS = Path(os.environ["GCNNBENCH_CHECKOUTS"]) if "GCNNBENCH_CHECKOUTS" in os.environ else None
ROUNDING, BROKEN = 1e-7, 1e-5
"""Brute force calls exact what stays below the one in both states, and broken what is above the other in one."""


@dataclass(frozen=True)
class Listed:
    """A row of the page."""

    card: str
    network: str
    size: int
    claimed: str
    verdict: str


def listed(text: str) -> list[Listed]:
    """The rows of the page's tables, whose headings are the cards' titles."""
    titles = {card.title: card.name for card in read_zoo()}
    rows, card = [], ""
    for line in text.splitlines():
        if line.startswith("## "):
            card = titles[line[3:]]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[1].isdigit():
            rows.append(Listed(card, cells[0], int(cells[1]), cells[3], cells[4]))
    return rows


def agrees(verdict: str, card: ZooCard, network: ZooNetwork, size: int, checkouts: Path | None = None) -> bool:
    """Whether brute force finds what the audit found."""
    errors = brute_force(card, network, size, checkouts)
    return max(errors) < ROUNDING if verdict in EXACT else max(errors) > BROKEN


def brute_force(card: ZooCard, network: ZooNetwork, size: int, checkouts: Path | None) -> tuple[float, float]:
    """The largest relative errors of the output: with the weights as given, and with others.

    The others are the given ones with noise of a fifth of their size, norm statistics those of the images.
    """
    found = find(card, checkouts)
    with importable(found.folder):
        aim = target(network, found)
        given, other = aim.make(size), aim.make(size)
    generator = torch.Generator().manual_seed(1)
    shape = (3 if size <= 64 else 2, aim.channels or network.channels, size, size)
    images = torch.rand(shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        given, other = given.double().train().eval(), other.double().train()
        for parameter in other.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                scale = parameter.square().mean().sqrt()
                parameter.add_(0.2 * (scale if scale > 0 else 0.1) * noise)
        for norm in [one for one in other.eval().modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]:
            norm.train().momentum = 1.0
        other(images.clone())
        return error(given, images, network.judged), error(other.eval(), images, network.judged)


def error(network: nn.Module, images: Tensor, group: str) -> float:
    """The largest `rms(f(g x) − f(x)) / rms(f(x) − mean f)` over the elements of the group."""
    turns = {"p2": [2], "p4": [1, 2, 3], "p4m": [1, 2, 3]}[group]
    moved = [images.rot90(turn, (-2, -1)) for turn in turns]
    if group == "p4m":
        moved += [images.flip(-1).rot90(turn, (-2, -1)) for turn in range(4)]
    upright: Tensor = network(images.clone())
    spread = (upright - upright.mean(0)).square().mean().sqrt()
    return max(float((network(one.clone()) - upright).square().mean().sqrt() / spread) for one in moved)


CARDS = {card.name: card for card in read_zoo()}
ROWS = listed(PAGE.read_text()) if PAGE.exists() else []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", ROWS, ids=[f"{row.network}@{row.size}" for row in ROWS])
def test_brute_force_agrees_with_the_page(row: Listed) -> None:
    card = CARDS[row.card]
    (network,) = [one for one in card.networks if one.name == row.network and row.size in one.sizes]
    if row.verdict.startswith("unknown") or row.verdict.startswith("inapplicable"):
        with pytest.raises(Exception):  # noqa: B017 - whatever it is, the network raises it by itself
            brute_force(card, network, row.size, CHECKOUTS)
        return
    assert agrees(row.verdict, card, network, row.size, CHECKOUTS)


def test_there_are_rows() -> None:
    assert len(ROWS) > 60
