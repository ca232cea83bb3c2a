"""Follows which module runs during a watched pass, and what the modules that are known to be equivariant do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from gcnnbench.equivariance.certificate.axes import image_dimensions, plain, pure_axis, resized
from gcnnbench.equivariance.certificate.known import known_code
from gcnnbench.equivariance.certificate.tracing import Running, Tracer
from gcnnbench.equivariance.certificate.tracked import Known, Tracked, UnknownAction
from gcnnbench.nn.fields import Field, ScalarField

ModuleRule = Callable[[nn.Module], Known | None]
"""What a module is known to do; None where nothing is known."""

READ_OUT = {
    *(Tensor.tolist, Tensor.numpy, Tensor.__array__, Tensor.__dlpack__, Tensor.__cuda_array_interface__.__get__),
    *(Tensor.storage, Tensor.untyped_storage, Tensor.data_ptr, Tensor.__deepcopy__, Tensor.__reduce_ex__),
    *(Tensor.apply_, Tensor.map_, Tensor.map2_, Tensor.data.__set__),  # type: ignore[attr-defined]
    *(Tensor.__float__, Tensor.__index__, Tensor.__int__, Tensor.__complex__, Tensor.__repr__, Tensor.__format__),
}
"""They give a tensor's numbers or memory to Python, or other memory to a tensor, and no operation of torch shows it.

`torch.utils.dlpack.to_dlpack` and what reads a storage that was taken from a parameter before are not seen.
"""
MADE_ANEW = {torch.tensor: 0, torch.as_tensor: 0, torch.asarray: 0, Tensor.new_tensor: 1, Tensor.new: 1}
"""They make a tensor of numbers, their argument of this place; of a list with tensors they read these in Python.

Of torch's legacy constructors (`torch.FloatTensor`) only `__float__` and its like show that they do.
"""


@contextmanager
def watched(
    network: nn.Module, tracer: Tracer, known: ModuleRule, fields: Callable[[Any, Tracked], Field | None]
) -> Iterator[None]:
    """Tell the tracer which module runs, and what the known ones do to the field of their input.

    A known module vouches for the torch, e2cnn and suite code in it, and for no other: a layer of somebody else in it,
    or one with somebody else's hook, is followed operation by operation.

    Args:
        network: the network that will run.
        tracer: follows its operations.
        known: the rule of known modules.
        fields: the field that an input has by itself (e2cnn's tensors say so), given what is tracked of it.
    """
    entered: list[list[Tracked]] = []
    vouched = {module: known_code(module) for module in network.modules()}  # before there are hooks of ours
    rules = {module: known(module) if vouched[module] else None for module in network.modules()}

    def entering(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
            outer = tracer.notes.stack[-1] if tracer.notes.stack else None
            shown = outer.name if outer is not None and outer.wraps else name
            children, itself = len(list(module.children())), rules[module] is not None
            trusted = vouched[module] and (itself or (outer is not None and outer.trusted))
            tracer.notes.stack.append(Running(shown, children == 0 or itself, trusted, itself and children == 1))
            states = []
            for value in tree_leaves((args, kwargs)):
                tensor = getattr(value, "tensor", value)
                if isinstance(tensor, Tensor) and (state := tracer.state(tensor)) is not None:
                    states.append(replace(state, field=fields(value, state)))
            entered.append(states)

        return enter

    def leaving(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:  # noqa: ARG001
        running, states = tracer.notes.stack.pop(), entered.pop()
        rule = rules[module]
        tensor = getattr(output, "tensor", output)
        if rule is None or not states or not isinstance(tensor, Tensor) or (state := tracer.state(tensor)) is None:
            return
        if rule.moving_grid and len(states) == 1 and (rule.on_torus or not tracer.shifts):
            state = _moved(states[0], tensor)
            if rule.on_torus:
                tracer.notes.choices += 1
                state = replace(state, chosen=(*state.chosen, tracer.notes.choices))
        wrong = next((one.field for one in states if one.field != rule.needs), rule.needs)
        if all(one.field == rule.needs for one in states):
            state = replace(state, field=rule.gives)
        else:
            state = replace(state, field=None)
            for one in states:
                state = replace(state, past=state.past | one.past)
            if wrong is not None:
                why = f"it needs {rule.needs} and is given {wrong}"
                bit = tracer.add(UnknownAction(running.name, type(module).__name__, why))
                state = replace(state, past=state.past | bit)
        tracer.set(tensor, state)

    with ExitStack() as hooks:
        for name, module in network.named_modules():
            hooks.enter_context(module.register_forward_pre_hook(entering(name), prepend=True, with_kwargs=True))
            hooks.enter_context(module.register_forward_hook(leaving, with_kwargs=True))
        hooks.enter_context(_InPython(tracer))
        yield


def _moved(state: Tracked, output: Tensor) -> Tracked:
    """What is known behind a layer whose grid moves with the image: the pixels lie as before, only fewer of them."""
    if state.dimensions is None or state.uneven or state.wrapped or len(state.dimensions) != output.ndim:
        return replace(state, dimensions=None, field=None)
    dimensions = tuple(
        resized(old, size) if pure_axis(old) else plain(size)
        for old, size in zip(state.dimensions, output.shape, strict=True)
    )
    y, x = (replace(lattice, step=None) for lattice in state.lattices)
    return replace(state, dimensions=dimensions, lattices=(y, x))


def start(tracer: Tracer, images: Tensor) -> None:
    """Begin with images (batch, channels, height, width), which are a scalar field."""
    tracer.image = images
    tracer.set(images, Tracked(image_dimensions(images.shape), ScalarField()))


class _InPython(TorchFunctionMode):
    """Shows the tracer what only Python knows: circular padding as one operation, and features that leave torch."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self.tracer = tracer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        pads = func is F.pad or func is vars(torch._C)["_nn"].pad
        if pads and (kwargs.get("mode") or (args[2] if len(args) > 2 else None)) == "circular":
            return self.tracer.wrap_round(func, args, kwargs)
        given = (*args, *kwargs.values())[MADE_ANEW.get(func, 0) :]
        if func in READ_OUT or (func in MADE_ANEW and given and not isinstance(given[0], Tensor)):
            leaves = [leaf for leaf in tree_leaves(given) if isinstance(leaf, Tensor)]
            if any(self.tracer.may_hold_features(leaf) for leaf in leaves):
                self.tracer.unseen(func.__name__)
            for leaf in leaves:
                self.tracer.memory.used(leaf)
        return func(*args, **kwargs)
