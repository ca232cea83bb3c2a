"""How a network to audit is made for an input size, and what it is called: one way for the command and for Python."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from gcnnbench.errors import UserError
from gcnnbench.rewriting.classes import FORWARD_HOOKS, calls_as

Factory = Callable[[int], nn.Module]
"""Makes the network for an input size."""

Model = nn.Module | Callable[..., nn.Module]
"""A network, or a class or function that makes one."""


def factory(model: Any, arguments: Mapping[str, Any] | None = None, *, name: str, positional: bool = True) -> Factory:
    """How to make the network of an input size.

    A finished network serves all sizes. A class or function gets the size where it takes an argument `size`; a function
    also where it has a single argument without a default. Else it makes one network for all sizes.

    Args:
        model: a network, or a class or function that makes one.
        arguments: further arguments by name.
        name: of the network, for messages.
        positional: whether a function's only argument without a default gets the size, whatever it is called.

    Raises:
        UserError: this is neither, or a finished network is given arguments.
    """
    given = dict(arguments or {})
    if isinstance(model, nn.Module):
        if given:
            raise UserError(f"{name} is a finished module and takes no arguments: leave out {', '.join(given)}")
        network = auditable(model, name)
        return lambda _: network
    if not callable(model):
        raise UserError(f"{name} is a {type(model).__name__}; it must be a torch.nn.Module, or make one when called")
    call: Callable[..., Any] = model
    by_name, by_place = _takes_size(call, given)

    def make(size: int) -> nn.Module:
        return auditable(
            call(*((size,) if positional and by_place else ()), **given, **({"size": size} if by_name else {})), name
        )

    return make


def _takes_size(call: Callable[..., Any], given: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether it takes the size by name, and whether as its only argument without a default."""
    try:
        parameters = inspect.signature(call).parameters
    except (TypeError, ValueError):
        return False, False
    if "size" in parameters:
        return "size" not in given, False
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [one for one in parameters.values() if one.default is one.empty and one.kind in places]
    return False, not isinstance(call, type) and not given and len(needed) == 1


def name_of(model: Any) -> str:
    """`module:name` of a class, function or network's class, as `gcnnbench audit` takes it."""
    named = model if hasattr(model, "__qualname__") else type(model)
    return f"{named.__module__}:{named.__qualname__}"


def auditable(made: Any, name: str) -> nn.Module:
    """The network itself, whose operations and tensors can be watched and exchanged, without wrappers around it.

    Raises:
        UserError: it is no such network; says what to audit instead.
    """
    if not isinstance(made, nn.Module):
        raise UserError(f"{name} gave a {type(made).__name__}; it must give a torch.nn.Module")
    network: nn.Module = made
    while (inside := _wrapped(network, name)) is not None:
        network = inside
    for inner in network.modules():
        if isinstance(inner, torch.jit.ScriptModule):
            raise UserError(
                f"{name} holds a compiled {type(inner).__name__}, in which nothing can be watched or exchanged: "
                "audit the module that torch.jit.script or torch.jit.trace was given"
            )
        if isinstance(inner, torch.fx.GraphModule) and "eval" in vars(inner):
            raise UserError(
                f"{name} holds a program of torch.export, which has no evaluation mode: audit the module that "
                "torch.export.export was given"
            )
        tensors = [tensor for tensor in (*inner._parameters.values(), *inner._buffers.values()) if tensor is not None]
        if any(is_lazy(tensor) for tensor in tensors):
            raise UserError(
                f"{name} has lazy layers without weights ({type(inner).__name__}): run it on an image first"
            )
        if any(tensor.is_meta for tensor in tensors):
            raise UserError(f"{name} has tensors on the meta device, without numbers: build it on a real device")
    return network


def _wrapped(network: nn.Module, name: str) -> nn.Module | None:
    """What stands in a wrapper for several devices or of torch's compiler, which only hands on to it.

    Raises:
        UserError: the wrapper does more, which no pass through the network inside would show.
    """
    parallel = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    if _is_compiled(network):
        inside, plain = network._modules["_orig_mod"], not any(getattr(network, hooks) for hooks in FORWARD_HOOKS)
    elif isinstance(network, parallel):
        inside, plain = network.module, any(calls_as(network, kind) for kind in parallel)
    else:
        return None
    if not plain:
        raise UserError(
            f"{name} is a {type(network).__name__} with hooks or a forward pass of its own, which would be left out: "
            "audit a module that does the same without it"
        )
    return cast("nn.Module", inside)


def _is_compiled(network: nn.Module) -> bool:
    """Whether torch.compile gave it; its module is imported where anything was compiled, and takes seconds else."""
    compiler = sys.modules.get("torch._dynamo.eval_frame")
    return compiler is not None and type(network) is compiler.OptimizedModule
