"""A dispatch mode that is shown single operations, however a network wraps them up."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

PIECES = torch._C.DispatchKey.CompositeImplicitAutograd
"""Where torch keeps what an operation is made of; `func.decompose` knows more, by which nothing runs."""


def _not_compiled(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method, kept out of torch's compiler, which runs where a network calls `torch.cond`.

    Torch's own way to do so, `_should_skip_dynamo`, imports the compiler at the first operation, which takes seconds.
    """
    frames: Any = torch._C._dynamo.eval_frame
    if hasattr(frames, "set_code_exec_strategy"):  # none of torch's public names
        skip = frames._FrameAction.SKIP
        frames.set_code_exec_strategy(method.__code__, frames._FrameExecStrategy(skip, skip))
    return method


class OperationMode(TorchDispatchMode):
    """Hands each single operation to `operation`.

    Under `inference_mode` torch gives modes operations that it takes to pieces elsewhere: here they are taken to pieces
    first. What a tensor of a subclass does with an operation is seen instead of that one, and so is what is done by the
    functions that are given to a higher-order operator.
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @abstractmethod
    def operation(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a single operation."""

    def higher_order(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operator that is given functions; these run under this mode."""

        def watched(leaf: Any) -> Any:
            if isinstance(leaf, Tensor) or not callable(leaf):
                return leaf

            @wraps(leaf)
            def function(*inner: Any, **named: Any) -> Any:
                with self:
                    return leaf(*inner, **named)

            return function

        return func(*tree_map(watched, args), **kwargs)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    @_not_compiled
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if isinstance(func, HigherOrderOperator):
            return self.higher_order(func, args, kwargs)
        if any(kind.__torch_dispatch__ is not torch._C._disabled_torch_dispatch_impl for kind in types):
            return NotImplemented
        if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), PIECES):
            with self:
                return func._op_dk(PIECES, *args, **kwargs)
        return self.operation(func, args, kwargs)


def name_of(func: Any) -> str:
    """An operation's name without the underscore of in-place forms; with its namespace if it is not torch's own."""
    name: str = func.overloadpacket.__name__
    if func.namespace != "aten":
        return f"{func.namespace}::{name}"
    return name if name.startswith("__") else name.removesuffix("_")


def arguments_of(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an operation by name, with those that are not given."""
    return {
        argument.name: args[place] if place < len(args) else kwargs.get(argument.name, argument.default_value)
        for place, argument in enumerate(func._schema.arguments)
    }
