"""P4CNN of the MNIST study with two paths a layer, whose priors are learnt by their evidence (van der Ouderaa 2023)."""

from __future__ import annotations

from functools import partial

from gcnnbench.architectures.initialisation import he_uniform
from gcnnbench.architectures.learnt_priors import LearntPriors, without_norms
from gcnnbench.architectures.mnist_study import DEPTHS, seven_convolutions
from gcnnbench.nn.groups import P4
from gcnnbench.nn.pathway import ResidualPathwayConv


def build(
    *,
    size: int,
    channels: int,
    classes: int,
    planes: int,
    dropout: float,
    scale: float,
    burn_in: int,
    every: int,
    outputs: int,
) -> LearntPriors:
    """(batch, channels, size, size) -> logits (batch, classes), seven convolutions of two paths each, without norms."""
    layers = seven_convolutions(
        size=size,
        channels=channels,
        classes=classes,
        planes=planes,
        dropout=dropout,
        group=P4,
        conv=partial(ResidualPathwayConv, equivariant_strength=0.0, free_strength=0.0, scale=scale),
    )
    network = LearntPriors(without_norms(layers), depths=DEPTHS, burn_in=burn_in, every=every, outputs=outputs)
    return network.apply(he_uniform)
