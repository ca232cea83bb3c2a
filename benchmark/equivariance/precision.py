"""A network run with other tensors than its own (in float64, say, or randomised) while its own stay untouched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.equivariance.steering import Wide, has_e2cnn, symmetric_filters

Tensors = dict[str, Tensor]
"""Parameters and buffers by their full name in the network."""


def device_of(network: nn.Module, images: Tensor) -> torch.device:
    """The device of the network's parameters and buffers; that of the images where it has none."""
    return next((tensor.device for tensor in tensors(network).values()), images.device)


def best_dtype(device: torch.device) -> torch.dtype:
    """float64 where the device computes in it, else float32."""
    return torch.float32 if device.type == "mps" else torch.float64


def slots(network: nn.Module) -> Tensors:
    """Every place of a parameter or buffer by one name: shared modules once, shared tensors as often as they stand.

    A shared module must not be given its tensors twice, or it would keep those of the first time for good.
    """
    return {
        f"{prefix}.{name}" if prefix else name: tensor
        for prefix, module in network.named_modules()
        for name, tensor in (*module._parameters.items(), *module._buffers.items())
        if tensor is not None
    }


def tensors(network: nn.Module, dtype: torch.dtype | None = None) -> Tensors:
    """Every parameter and buffer, the floating-point ones converted in their memory layout; shared ones stay shared."""
    own = slots(network)
    if dtype is None:
        return own
    converted = {
        id(tensor): tensor.detach().to(dtype) if tensor.is_floating_point() else tensor.detach()
        for tensor in own.values()
    }
    return {name: converted[id(tensor)] for name, tensor in own.items()}


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients and with TF32 off; every flag is given back as it was.

    The training flags are set directly, not by `network.eval()`: e2cnn's convolutions answer that call by caching
    filters, and a cache would hide the tensors that are swapped in. For the same reason modules that would read such
    a cache (they have `expand_parameters`) stay in training mode, in which they differ in nothing else.
    """
    flags = {module: module.training for module in network.modules()}
    tf32 = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        for module in flags:
            module.training = hasattr(module, "expand_parameters")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        with torch.no_grad(), symmetric_filters(network):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = tf32
        for module, flag in flags.items():
            module.training = flag


def forward(network: nn.Module, swapped: Mapping[str, Tensor], images: Tensor) -> Any:
    """The network's output with these tensors in the place of its own; its own come back bit for bit."""
    with Wide() if images.dtype == torch.float64 and has_e2cnn(network) else nullcontext():
        return torch.func.functional_call(network, dict(swapped), (images,), tie_weights=False)
