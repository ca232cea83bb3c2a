"""What one image costs in any network, which is left as it was."""

from __future__ import annotations

from torch import Tensor, nn

from gcnnbench.equivariance.precision import device_of, dtype_of, evaluating
from gcnnbench.scoring.macs import forward_macs


def macs(network: nn.Module, images: Tensor) -> int:
    """Multiply-accumulates of one image, in evaluation mode and the network's own arithmetic.

    Args:
        network: on any device, in any mode.
        images: (images, channels, height, width), shown at once; only their shape matters.
    """
    shown = images.to(device_of(network, images), dtype_of(network, images), copy=True)
    with evaluating(network):
        return forward_macs(network, shown) // len(shown)
