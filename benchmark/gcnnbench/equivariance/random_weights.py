"""Parameters drawn anew around the given ones, because at initialisation most faults hide."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gcnnbench.equivariance.precision import Tensors, slots, tensors
from gcnnbench.nn.normalisation import GroupBatchNorm

SPREAD = 0.3
GENTLER = (0.3, 0.1, 0.03)
"""How far from the given weights each of the last draws goes, in units of their root mean square."""
DRAWS = 2 + len(GENTLER)
FLOOR = 1e-3
"""The smallest running variance of a channel, as a share of the mean over channels."""


def draw_weights(network: nn.Module, dtype: torch.dtype, *, images: Tensor | None = None, draw: int = 0) -> Tensors:
    """The network's tensors with every parameter and every batch norm's running statistics drawn anew.

    In the first draw filters and matrices become normal with their old root mean square, so that the size of the
    features stays; vectors and single numbers (biases, norm scales, slopes) vary around their old mean by 0.3 of their
    size, one independent draw for each entry. Running means move by 0.3 standard deviations, running variances by
    factors in [1/2, 2], in torch's batch norms and the suite's own.

    Some networks the first draw leaves without finite outputs, or with outputs that hardly differ between images, so
    that rounding is all they show. From the second draw on, running statistics therefore lie around those of the
    images, as after training; later draws also stay nearer and nearer to the given parameters.

    What no optimiser can change stays: buffers (a blur kernel) and parameters that require no gradient.

    Args:
        network: stays as it is.
        dtype: of the tensors that are not whole numbers.
        images: (images, channels, height, width), for the statistics from the second draw on.
        draw: which draw, 0 to `DRAWS` − 1; the later the gentler.
    """
    generator = torch.Generator().manual_seed(0)
    found = tensors(network, dtype)

    def normal(like: Tensor) -> Tensor:
        shape = (*like.shape, 2) if like.is_complex() else like.shape
        numbers = torch.randn(shape, generator=generator, dtype=torch.float64)
        return (torch.view_as_complex(numbers) if like.is_complex() else numbers).to(like)

    bases = {name for name, module in network.named_modules() if hasattr(module, "basisexpansion")}
    made: dict[int, Tensor] = {}
    for name, parameter in slots(network).items():
        value = found[name]
        if not _trainable(parameter) or not value.numel():
            continue
        if id(parameter) not in made:
            size = value.abs().square().mean().sqrt()
            filters = parameter.ndim > 1 or name.rpartition(".")[0] in bases
            spread = (size if size > 0 else 1.0) if filters else SPREAD * size.clamp(min=0.1)
            centre = (0 if filters else value.mean()) if draw < 2 else value
            made[id(parameter)] = normal(value) * spread * _nearness(draw) + centre
        found[name] = made[id(parameter)]
    if draw and images is not None:
        found = _with_statistics(network, found, images.to(dtype))
    for name, _ in _norms(network):
        prefix = f"{name}." if name else ""
        mean, variance = found[prefix + "running_mean"], found[prefix + "running_var"]
        factor = torch.rand(variance.shape, generator=generator, dtype=torch.float64).to(variance) * 2 - 1
        moved = SPREAD * variance.sqrt() * normal(mean)
        found[prefix + "running_mean"] = mean + moved * _nearness(draw)
        found[prefix + "running_var"] = variance * 2 ** (factor * _nearness(draw))
    return found


def _trainable(tensor: Tensor) -> bool:
    """Whether an optimiser could change it."""
    return isinstance(tensor, nn.Parameter) and tensor.requires_grad


def _nearness(draw: int) -> float:
    return GENTLER[draw - 2] if draw > 1 else 1.0


def _norms(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """The batch norms with running statistics, by name."""
    kinds = (nn.modules.batchnorm._BatchNorm, GroupBatchNorm)
    named = network.named_modules()
    return [(name, one) for name, one in named if isinstance(one, kinds) and one.running_var is not None]


def _with_statistics(network: nn.Module, drawn: Tensors, images: Tensor) -> Tensors:
    """The tensors with each batch norm's running statistics those of its input on these images."""
    own = slots(network)
    held = {name: one if isinstance(own[name], nn.Parameter) else one.clone() for name, one in drawn.items()}
    norms = [norm for _, norm in _norms(network)]
    before = [(norm.training, norm.momentum) for norm in norms]
    try:
        for norm in norms:
            norm.training, norm.momentum = True, 1.0  # type: ignore[assignment]
        with torch.no_grad():
            torch.func.functional_call(network, held, (images.clone(),), tie_weights=False)
    finally:
        for norm, (training, momentum) in zip(norms, before, strict=True):
            norm.training, norm.momentum = training, momentum
    for name, _ in _norms(network):
        place = f"{name}.running_var" if name else "running_var"
        least = FLOOR * float(held[place].mean())
        held[place] = held[place].clamp(min=least) if least > 0 else torch.ones_like(held[place])
    return held
