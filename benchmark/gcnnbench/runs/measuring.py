"""Measures a network beside its scores: equivariance errors, exactness, parameters, MACs, probes; no label is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from gcnnbench.cards.base import Model
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.data.images import Images
from gcnnbench.equivariance.errors import measure
from gcnnbench.equivariance.exactness import exactness
from gcnnbench.equivariance.results import EquivarianceState, Exactness
from gcnnbench.nn.groups import group
from gcnnbench.probes import probing
from gcnnbench.scoring.macs import forward_macs

EXACTNESS_IMAGES = 8


class Measured(Model):
    """Equivariance errors and exactness of one state of the network."""

    state: EquivarianceState
    exactness: Exactness


def equivariance_now(network: nn.Module, test: Images, card: BenchmarkCard, model: ModelCard) -> Measured:
    """Measure the network as it is, on the protocol's fixed images: the first ones of the test share."""
    protocol = card.evaluation
    images = test.batch(slice(protocol.equivariance_images))
    return Measured(
        state=measure(network, images, group(protocol.group).elements),
        exactness=exactness(network, images[:EXACTNESS_IMAGES], group(protocol.group), model.group == "trivial"),
    )


@dataclass(frozen=True)
class Measurements:
    """What is measured on the tested network itself: its equivariance, trainable parameters, and MACs of one image.

    `probes` holds what the benchmark has read from it beside that, null where it asks for nothing.
    """

    after: Measured
    parameters: int
    macs: int
    probes: dict[str, Any] | None = None


def measurements(network: nn.Module, test: Images, card: BenchmarkCard, model: ModelCard) -> Measurements:
    """Measure the tested network; no label is looked at."""
    return Measurements(
        after=equivariance_now(network, test, card, model),
        parameters=trainable_parameters(network),
        macs=multiply_accumulates(network, test.batch(slice(1))),
        probes=probe(network) if (probe := probing(card.evaluation, test)) else None,
    )


def trainable_parameters(network: nn.Module) -> int:
    """How many numbers training may change."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def multiply_accumulates(network: nn.Module, image: torch.Tensor) -> int:
    """MACs of one image (1, channels, height, width) through the network in evaluation mode.

    Counts convolutions and matrix products, two operations to a MAC.
    """
    network.eval()
    return forward_macs(network, image)
