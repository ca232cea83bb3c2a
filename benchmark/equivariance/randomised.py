"""Parameters drawn anew around the given ones, because at initialisation most faults hide."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.equivariance.precision import Tensors, slots, tensors
from benchmark.nn.normalisation import GroupBatchNorm

SPREAD = 0.3


def randomised(network: nn.Module, dtype: torch.dtype, seed: int = 0) -> Tensors:
    """The network's tensors with every parameter and every batch norm's running statistics drawn anew.

    Filters and matrices become normal with their old root mean square, so that the size of the features stays;
    vectors and single numbers (biases, norm scales, slopes) vary around their old mean by 0.3 of their size, one
    independent draw for each entry. Running means move by 0.3 standard deviations, running variances by factors in
    [1/2, 2], in torch's batch norms and the suite's own. No other buffer changes: a blur kernel is one.

    Args:
        network: stays as it is.
        dtype: of the floating-point tensors.
        seed: of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    found = tensors(network, dtype)

    def normal(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like)

    bases = {name for name, module in network.named_modules() if hasattr(module, "basisexpansion")}
    drawn: dict[int, Tensor] = {}
    for name, parameter in slots(network).items():
        value = found[name]
        if not isinstance(parameter, nn.Parameter) or not value.is_floating_point() or not value.numel():
            continue
        if id(parameter) not in drawn:
            size = value.square().mean().sqrt()
            filters = parameter.ndim > 1 or name.rpartition(".")[0] in bases
            spread = (size if size > 0 else 1.0) if filters else SPREAD * size.clamp(min=0.1)
            drawn[id(parameter)] = normal(value) * spread + (0 if filters else value.mean())
        found[name] = drawn[id(parameter)]
    for name, module in network.named_modules():
        if not isinstance(module, (nn.modules.batchnorm._BatchNorm, GroupBatchNorm)) or module.running_var is None:
            continue
        prefix = f"{name}." if name else ""
        mean, variance = found[prefix + "running_mean"], found[prefix + "running_var"]
        factor = torch.rand(variance.shape, generator=generator, dtype=torch.float64).to(variance) * 2 - 1
        found[prefix + "running_mean"] = mean + SPREAD * variance.sqrt() * normal(mean)
        found[prefix + "running_var"] = variance * 2**factor
    return found
