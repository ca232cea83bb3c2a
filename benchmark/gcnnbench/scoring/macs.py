"""Multiply-accumulates of a forward pass: convolutions and matrix products, by the formulas that torch ships."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class MacCounter(TorchDispatchMode):
    """Adds up the operations that run under it, as `torch.utils.flop_counter.FlopCounterMode` does.

    That mode also follows modules, and imports torch's compiler to do so: seconds of work for a total.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops: int = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else the compiler is imported only to keep it out of a method nobody compiles

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        count = flop_registry.get(func.overloadpacket)
        if count is None:
            with self:
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = func(*args, **kwargs)
        if count is not None:
            self.flops += int(count(*args, **kwargs, out_val=out))
        return out


def forward_macs(network: nn.Module, images: Tensor) -> int:
    """MACs of these images (batch, channels, height, width) through the network as it is, two operations to a MAC."""
    counter = MacCounter()
    with counter:
        network(images)
    return counter.flops // 2
