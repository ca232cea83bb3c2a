"""Runs a network that is lists of calls of operators, in a process that holds none of its code.

Each list is the forward pass of one batch size, in training or in evaluation, on PyTorch's ATen operators and the few
of this suite that have a gradient of their own. It is plain data: names of operators are looked up among those that
compute on tensors and do nothing else, so reading and running it runs no code of whoever wrote it. The loss, the
gradients and the optimiser are the suite's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from gcnnbench.submissions.contained.operators import ATEN
from gcnnbench.submissions.contained.suite_operators import OURS, GraphError
from gcnnbench.submissions.graph_form import Graph, Graphs

_MEMORY_FORMATS = {
    "contiguous": torch.contiguous_format,
    "channels_last": torch.channels_last,
    "preserve": torch.preserve_format,
}
_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.bool, torch.uint8),
        *(torch.int8, torch.int16, torch.int32, torch.int64, torch.complex64, torch.complex128),
    )
}


@dataclass(frozen=True)
class _Ref:
    name: str


@dataclass(frozen=True)
class _Step:
    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    options: dict[str, Any]
    output: str
    gradient: bool
    free: tuple[str, ...] = ()


class _Pass:
    """A graph made ready to be run."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        known = {graph.images, *graph.state}
        last: dict[str, int] = {}
        steps = []
        for place, call in enumerate(graph.calls):
            inputs, options = _decoded(list(call.inputs)), {key: _decoded(one) for key, one in call.options.items()}
            for name in _names((inputs, list(options.values()))):
                if name not in known:
                    raise GraphError(f"call {place} takes {name}, which is not there yet")
                last[name] = place
            known.add(call.output)
            steps.append(_Step(_operator(call.operator), tuple(inputs), options, call.output, call.gradient))
        if graph.logits not in known:
            raise GraphError(f"nothing gives {graph.logits}")
        free: dict[int, list[str]] = {}
        for name, place in last.items():
            if name not in (graph.logits, graph.images, *graph.state):
                free.setdefault(place, []).append(name)
        self.steps = [replace(step, free=tuple(free.get(place, ()))) for place, step in enumerate(steps)]

    def __call__(self, images: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
        values: dict[str, Any] = {self.graph.images: images}
        values |= {name: tensors[target] for name, target in self.graph.state.items()}
        for step in self.steps:
            inputs = [_filled(one, values) for one in step.inputs]
            options = {key: _filled(one, values) for key, one in step.options.items()}
            with torch.set_grad_enabled(step.gradient and torch.is_grad_enabled()):
                values[step.output] = step.function(*inputs, **options)
            for name in step.free:
                del values[name]
        logits = values[self.graph.logits]
        if not isinstance(logits, Tensor):
            raise GraphError(f"{self.graph.logits} is no tensor")
        return logits


class GraphNetwork(nn.Module):
    """A network that is run from its graphs; its parameters and buffers have the names that they have in the code.

    Args:
        graphs: the passes.
        tensors: the network's tensors by name, as they are before training.

    Raises:
        GraphError: a graph names an operator, a tensor or a value that is not there.
    """

    def __init__(self, graphs: Graphs, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name in (*graphs.parameters, *graphs.frozen, *graphs.buffers, *graphs.constants):
            if name not in tensors:
                raise GraphError(f"there is no tensor {name}")
        for name in (*graphs.parameters, *graphs.frozen):
            module, last = self._place(name)
            module.register_parameter(last, nn.Parameter(tensors[name].clone(), name in graphs.parameters))
        for name in (*graphs.buffers, *graphs.constants):
            module, last = self._place(name)
            module.register_buffer(last, tensors[name].clone(), persistent=name in graphs.buffers)
        self._passes = {
            (mode, graph.batch): _Pass(graph)
            for mode, found in ((True, graphs.training), (False, graphs.evaluation))
            for graph in found
        }
        there = {*dict(self.named_parameters()), *dict(self.named_buffers())}
        for one in self._passes.values():
            if lacking := sorted({*one.graph.state.values()} - there):
                raise GraphError(f"there is no tensor {lacking[0]}")

    def _place(self, name: str) -> tuple[nn.Module, str]:
        """The module that holds a name, made where it is not there, and the last part of the name."""
        module: nn.Module = self
        *parents, last = name.split(".")
        for part in parents:
            if part not in module._modules:
                module.add_module(part, nn.Module())
            module = module.get_submodule(part)
        return module, last

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, size, size) -> logits (batch, classes), for the sizes of batches that there are graphs of.

        Raises:
            GraphError: there is no graph for this size, or a pass changes a parameter.
        """
        run = self._passes.get((self.training, len(images)))
        if run is None:
            raise GraphError(f"there is no graph for batches of {len(images)} {'in training' if self.training else ''}")
        tensors = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        before = [one._version for one in self.parameters()]
        logits = run(images, tensors)
        if before != [one._version for one in self.parameters()]:
            raise GraphError("a forward pass changes a parameter, which only the optimiser may")
        return logits


def _operator(name: str) -> Callable[..., Any]:
    """The operator of a name.

    Raises:
        GraphError: it is none of those that a graph may use.
    """
    if name in OURS:
        return OURS[name]
    if name == "getitem":
        return lambda values, place: values[place]
    space, _, rest = name.partition(".")
    base, _, overload = rest.partition(".")
    if space != "aten" or base not in ATEN:
        raise GraphError(f"{name} is no operator that a graph may use")
    found = getattr(getattr(torch.ops.aten, base, None), overload, None)
    if not isinstance(found, torch._ops.OpOverload):
        raise GraphError(f"this version of torch has no operator {name}")
    return found


def _decoded(value: Any) -> Any:
    """A value of JSON as an operator takes it."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_decoded(one) for one in value]
    if isinstance(value, dict) and len(value) == 1:
        ((kind, said),) = value.items()
        if kind == "ref" and isinstance(said, str):
            return _Ref(said)
        if kind == "text" and isinstance(said, str) and len(said) < 100:
            return said
        if kind == "float" and said in ("inf", "-inf", "nan"):
            return float(said)
        if kind == "dtype" and said in _DTYPES:
            return _DTYPES[said]
        if kind == "memory_format" and said in _MEMORY_FORMATS:
            return _MEMORY_FORMATS[said]
        if kind == "layout" and said == "strided":
            return torch.strided
        if kind == "device" and said == "cpu":
            return torch.device("cpu")
    raise GraphError(f"{str(value)[:80]} is no value that a call may take")


def encoded(value: Any) -> Any:
    """A value that an operator takes as JSON; nodes are to be replaced before.

    Raises:
        GraphError: a graph cannot hold it.
    """
    if isinstance(value, _Ref):
        return {"ref": value.name}
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        finite = value == value and abs(value) != float("inf")
        return value if finite else {"float": str(value)}
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, list | tuple):
        return [encoded(one) for one in value]
    for kind, names in (("memory_format", _MEMORY_FORMATS), ("dtype", _DTYPES)):
        for name, one in names.items():
            if type(one) is type(value) and one == value:
                return {kind: name}
    if value == torch.strided or value == torch.device("cpu"):
        return {"layout": "strided"} if value == torch.strided else {"device": "cpu"}
    raise GraphError(f"a call takes {str(value)[:80]} ({type(value).__name__}), which a graph cannot hold")


def reference(name: str) -> Any:
    """What stands in a call for a value."""
    return _Ref(name)


def _names(value: Any) -> Sequence[str]:
    if isinstance(value, _Ref):
        return [value.name]
    return [name for one in value for name in _names(one)] if isinstance(value, list | tuple) else []


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, _Ref):
        return values[value.name]
    return [_filled(one, values) for one in value] if isinstance(value, list) else value
