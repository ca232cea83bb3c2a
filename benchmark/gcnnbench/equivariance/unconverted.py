"""Why a network may run in its own arithmetic and not in float64: parts of it that no conversion reaches."""

from __future__ import annotations

from torch import nn

from gcnnbench.equivariance.containers import contents_of


def unconverted(network: nn.Module) -> str | None:
    """What of a network keeps its own arithmetic, and what would be right; None where nothing is found."""
    known = set(network.modules())
    for name, module in network.named_modules():
        if "quantized" in type(module).__module__.split("."):
            kind = type(module).__name__
            return (
                f"{name or kind} is a quantised {kind}, which has no float64: audit the network before it is quantised"
            )
        for attribute, held in vars(module).items():
            if any(isinstance(one, nn.Module) and one not in known for one in contents_of(held)):
                place = f"{name}.{attribute}" if name else attribute
                return f"the modules in {place} are not its children: hold them in an nn.ModuleList or nn.ModuleDict"
    return None
