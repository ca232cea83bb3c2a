"""A network run with other tensors than its own (in float64, say, or randomised) while its own stay untouched."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from gcnnbench.equivariance.double_precision import double_precision
from gcnnbench.equivariance.restoring import restored
from gcnnbench.equivariance.steering import steerable_convolutions, symmetric_filters
from gcnnbench.float32_precision import FULL, float32_precision

Tensors = dict[str, Tensor]
"""Parameters and buffers by their full name in the network."""

State = Callable[[nn.Module, torch.dtype], Tensors]
"""Makes the tensors that a network is judged with, in an arithmetic: `tensors` gives its own."""

Kind = TypeVar("Kind")


def device_of(network: nn.Module, images: Tensor) -> torch.device:
    """The device of most numbers in the network's parameters and buffers; that of the images where it has none."""
    return _prevailing(((one.device, one.numel()) for one in tensors(network).values()), images.device)


def dtype_of(network: nn.Module, images: Tensor) -> torch.dtype:
    """The arithmetic in which the network runs: of most numbers in its parameters, or of the images where it has none.

    Buffers are asked only where there is no parameter, for a constant may be kept in another precision.
    """
    return _prevailing(_arithmetics(network.parameters()), _prevailing(_arithmetics(network.buffers()), images.dtype))


def _prevailing(counted: Iterable[tuple[Kind, int]], otherwise: Kind) -> Kind:
    """The kind of the most numbers, the first of several."""
    counts = Counter[Kind]()
    for kind, numbers in counted:
        counts[kind] += numbers
    return max(counts, key=lambda kind: counts[kind], default=otherwise)


def _arithmetics(own: Iterable[Tensor]) -> Iterator[tuple[torch.dtype, int]]:
    return ((one.dtype.to_real(), one.numel()) for one in own if one.is_floating_point() or one.is_complex())


def best_dtype(device: torch.device) -> torch.dtype:
    """float64 where the device computes in it, else float32."""
    return torch.float32 if device.type == "mps" else torch.float64


def float64_device(network: nn.Module, images: Tensor) -> torch.device:
    """The network's device where that computes in float64, else the CPU, to which tensors are swapped in (Apple's)."""
    device = device_of(network, images)
    return device if best_dtype(device) == torch.float64 else torch.device("cpu")


def on_device(found: Mapping[str, Tensor], device: torch.device) -> Tensors:
    """The same tensors there."""
    return {name: tensor.to(device) for name, tensor in found.items()}


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
    """Every parameter and buffer, converted in its layout but for whole numbers; shared ones stay shared."""
    own = slots(network)
    if dtype is None:
        return own
    converted = {id(tensor): _converted(tensor.detach(), dtype) for tensor in own.values()}
    return {name: converted[id(tensor)] for name, tensor in own.items()}


def _converted(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    if tensor.is_complex():
        return tensor.to(dtype.to_complex())
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def in_arithmetic(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy whose parameters and buffers are converted as by `tensors`; `Module.to` makes complex numbers real."""
    copied = copy.deepcopy(network)
    copied._apply(partial(_converted, dtype=dtype))
    return copied


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """The mode that `network.eval()` reaches, without gradients and in full float32; then everything is as it was.

    `eval()` is called, not imitated, for a network may override what it does. As such code may do anything (fold, merge
    or cache weights), all that the modules hold is put back, and so are the random generators (`restoring.py`).
    Convolutions that would read filters cached by that call instead of the tensors that are swapped in (e2cnn's) run in
    training mode, in which they differ in nothing else.
    """
    with float32_precision(FULL), restored(network), torch.no_grad():
        _evaluate(network)
        with symmetric_filters(network):
            yield


def stated(network: nn.Module, state: State, images: Tensor) -> Tensors:
    """The tensors of a state where and in which arithmetic the images are, within `evaluating`.

    A network whose modules do something of their own in `eval()` (expand, fold or cache filters) does it again with
    these tensors in place: what it makes there would else be of the tensors that it was given.
    """
    made = on_device(state(network, images.dtype), images.device)
    if not any(map(_acts_on_its_mode, network.modules())):
        return made
    _put_in(network, made)
    with _arithmetic(images.dtype):
        network.train()
        _evaluate(network)
    return on_device(tensors(network, images.dtype), images.device)


def _acts_on_its_mode(module: nn.Module) -> bool:
    kind = type(module)
    return kind.train is not nn.Module.train or kind.eval is not nn.Module.eval


def _put_in(network: nn.Module, state: Tensors) -> None:
    """Put tensors into the modules, parameters as such; shared ones stay shared."""
    made: dict[int, nn.Parameter] = {}
    for prefix, module in network.named_modules():
        for own in (module._parameters, module._buffers):
            for name, tensor in own.items():
                new = state.get(f"{prefix}.{name}" if prefix else name)
                if tensor is None or new is None:
                    continue
                if isinstance(tensor, nn.Parameter):
                    new = made.setdefault(id(new), nn.Parameter(new.detach(), tensor.requires_grad))
                own[name] = new


def _evaluate(network: nn.Module) -> None:
    """Call `eval()`; what could be learnt before it still can, for a network may freeze itself there."""
    learns = {name: tensor.requires_grad for name, tensor in slots(network).items()}
    network.eval()
    for name, tensor in slots(network).items():
        if isinstance(tensor, nn.Parameter) and tensor.requires_grad != learns.get(name, tensor.requires_grad):
            tensor.requires_grad_(learns[name])
    for module in steerable_convolutions(network):
        module.training = True


def _arithmetic(dtype: torch.dtype) -> AbstractContextManager[None]:
    return double_precision() if dtype == torch.float64 else nullcontext()


def forward(network: nn.Module, swapped: Mapping[str, Tensor], images: Tensor) -> Any:
    """The network's output with these tensors in the place of its own, on a copy of the images.

    Moved images are views; the copy lies in memory row by row, for code that reads it so. The network may change its
    images and its buffers in place, and ask for gradients of its parameters: neither the caller's nor the next pass's
    are touched.
    """
    copies: dict[int, Tensor] = {}
    for name, tensor in slots(network).items():
        if name in swapped and not isinstance(tensor, nn.Parameter):
            copies[id(swapped[name])] = swapped[name].clone()
        elif name in swapped and tensor.requires_grad and not torch.is_grad_enabled():
            copies.setdefault(id(swapped[name]), nn.Parameter(swapped[name].detach()))
    own = {name: copies.get(id(tensor), tensor) for name, tensor in swapped.items()}
    with _arithmetic(images.dtype):
        shown = images.clone(memory_format=torch.contiguous_format)
        return torch.func.functional_call(network, own, (shown,), tie_weights=False)
