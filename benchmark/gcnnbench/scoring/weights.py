"""Loads trained weights into the network that is scored with them."""

from __future__ import annotations

from torch import Tensor, nn


def load_weights(network: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load weights in training mode: e2cnn keeps expanded filters in evaluation mode, and they would go stale."""
    network.train()
    network.load_state_dict(weights)
