"""A submitted network exported to graphs, which the suite can train where no submitted code runs.

`torch.export` traces each pass above PyTorch's differentiation, so that the gradient is made anew by whoever runs the
graph. What it would lose is refused: gradients of one's own, hooks, and whatever depends on the values of tensors. The
graphs of one training step and one evaluation are then run beside the code, and must give the same bits.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.modules import module as module_hooks

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.recipe import SGD
from gcnnbench.device import seeded
from gcnnbench.rewriting.folded import for_scoring
from gcnnbench.submissions.contained.graph import GraphNetwork, encoded, reference
from gcnnbench.submissions.contained.suite_operators import GraphError, as_operators
from gcnnbench.submissions.graph_form import Call, Graph, Graphs
from gcnnbench.training.capture import HOOKS
from gcnnbench.training.phases import WEIGHTS, between_epochs, penalties, roles

CPU = torch.device("cpu")
_ASSERTIONS = ("_assert_tensor_metadata",)
_STREAM = 3


class _Scored(nn.Module):
    """A network as it is scored: its norms folded at every pass, by the weights that it has then."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = for_scoring(self.network)(images)
        return logits


def export_network(
    build: Callable[[], nn.Module], images: Tensor, training: Sequence[int], evaluation: Sequence[int]
) -> tuple[Graphs, dict[str, Tensor]]:
    """Export a network.

    Args:
        build: makes it, each time with the same weights.
        images: as it takes them (images, channels, size, size), at least as many as in the largest batch.
        training: the sizes of batches in training.
        evaluation: the sizes of batches in scoring.

    Returns:
        Its graphs, and its tensors by name as `build` gives them.

    Raises:
        GraphError: it cannot be exported, and why.
    """
    network = build()
    _refuse_hooks(network)
    parameters = dict(network.named_parameters())
    persistent = network.state_dict()
    if len(parameters) != sum(1 for _ in network.named_parameters(remove_duplicate=False)):
        raise GraphError("two names stand for one parameter")
    buffers = dict(network.named_buffers())
    tensors = {name: value.detach().clone() for name, value in (parameters | buffers).items()}
    constants: dict[str, Tensor] = {}
    passes: dict[bool, list[Graph]] = {True: [], False: []}
    with as_operators():
        for mode, sizes in ((True, training), (False, evaluation)):
            shown, prefix = (network, "") if mode else (_Scored(network), "network.")
            shown.train(mode)
            for batch in sizes:
                passes[mode].append(_graph(shown, prefix, images[:batch].clone(), constants))
    graphs = Graphs(
        training=tuple(passes[True]),
        evaluation=tuple(passes[False]),
        parameters=tuple(name for name, value in parameters.items() if value.requires_grad),
        frozen=tuple(name for name, value in parameters.items() if not value.requires_grad),
        buffers=tuple(name for name in buffers if name in persistent),
        constants=(*(name for name in buffers if name not in persistent), *constants),
    )
    tensors |= constants
    for batch in training:
        _compare(build(), GraphNetwork(graphs, tensors), images[:batch])
    for batch in evaluation:
        _compare_scores(build(), GraphNetwork(graphs, tensors), images[:batch])
    return graphs, tensors


def refuse_recipe(card: BenchmarkCard, network: nn.Module) -> None:
    """Refuse what graphs leave out: a recipe or a protocol that looks into the network while it is trained.

    Raises:
        GraphError: the recipe, the protocol or the network asks for it.
    """
    recipe = card.recipe
    if recipe.norm_statistics is not None:
        raise GraphError("the recipe estimates the statistics of norms anew, for which it must know the norms")
    if isinstance(recipe.optimiser, SGD) and recipe.optimiser.norm_biases is not None:
        raise GraphError("the recipe has rates of their own for the biases of norms, for which it must know the norms")
    if recipe.phases is not None or set(roles(network).values()) - {WEIGHTS}:
        raise GraphError("the recipe or the network tells roles of parameters apart")
    if penalties(network):
        raise GraphError("the network adds a penalty to the loss")
    if between_epochs(network):
        raise GraphError("the network learns something between epochs")
    if card.evaluation.probes is not None:
        raise GraphError("the protocol reads from the network while it is trained")
    if recipe.numeric_mode != "fp32":
        raise GraphError(f"the recipe trains in {recipe.numeric_mode}")


def _refuse_hooks(network: nn.Module) -> None:
    for name, module in network.named_modules():
        for kind in HOOKS:
            if getattr(module, kind, None):
                raise GraphError(f"{name or 'the network'} has {kind.strip('_').replace('_', ' ')}")
    if any(getattr(module_hooks, f"_global{kind}") for kind in ("_forward_hooks", "_forward_pre_hooks")):
        raise GraphError("there are hooks of all modules")
    if any(value._backward_hooks for value in network.parameters()):
        raise GraphError("a parameter has hooks")


def _graph(network: nn.Module, prefix: str, images: Tensor, constants: dict[str, Tensor]) -> Graph:
    """One pass; what the trace holds as constants is added to `constants`."""
    try:
        program = torch.export.export(network, (images,), strict=False)
    except Exception as error:
        raise GraphError(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
    signature = program.graph_signature
    state: dict[str, str] = {}
    (shown,) = signature.user_inputs
    for name, target in (*signature.inputs_to_parameters.items(), *signature.inputs_to_buffers.items()):
        state[name] = target.removeprefix(prefix)
    for name, target in signature.inputs_to_lifted_tensor_constants.items():
        key = f"constant_{len(constants)}"
        constants[key] = torch.as_tensor(program.constants[target]).detach().clone()
        state[name] = key
    calls: list[Call] = []
    names = {node: node.name for node in program.graph.nodes}
    (given,) = _inlined(program.graph_module, names, calls, gradient=True)
    if not isinstance(shown, str) or not isinstance(given, fx.Node):
        raise GraphError("the network takes or gives something else than one tensor")
    return Graph(batch=len(images), images=shown, state=state, calls=tuple(calls), logits=names[given])


def _inlined(
    module: fx.GraphModule, names: dict[fx.Node, str], calls: list[Call], *, gradient: bool
) -> tuple[Any, ...]:
    """The calls of a graph, with those of the graphs in it, appended in order; its outputs."""

    def named(value: Any) -> Any:
        if isinstance(value, fx.Node):
            return reference(names[value])
        return [named(one) for one in value] if isinstance(value, list | tuple) else value

    for node in module.graph.nodes:
        if node.op == "output":
            outputs = node.args[0]
            return tuple(outputs) if isinstance(outputs, list | tuple) else (outputs,)
        if node.op != "call_function" or _name(node) is None:
            continue
        if node.target is torch.ops.higher_order.wrap_with_set_grad_enabled:
            enabled, inner, *given = _arguments(node)
            body = getattr(module, str(inner.target))
            inside = {one: f"{node.name}.{one.name}" for one in body.graph.nodes}
            places = [one for one in body.graph.nodes if one.op == "placeholder"]
            inside |= {one: names[value] for one, value in zip(places, given, strict=True)}
            results = _inlined(body, inside, calls, gradient=gradient and bool(enabled))
            for user in node.users:
                names[user] = inside[results[_arguments(user)[1]]]
            continue
        if node in names and _picks_from_wrapped(node):
            continue
        calls.append(
            Call(
                operator=str(_name(node)),
                inputs=tuple(encoded(named(one)) for one in node.args),
                options={key: encoded(named(one)) for key, one in node.kwargs.items()},
                output=names[node],
                gradient=gradient,
            )
        )
    raise GraphError("a graph without an end")


def _arguments(node: fx.Node) -> tuple[Any, ...]:
    return node.args


def _picks_from_wrapped(node: fx.Node) -> bool:
    source = node.args[0] if node.target is operator.getitem else None
    return isinstance(source, fx.Node) and source.target is torch.ops.higher_order.wrap_with_set_grad_enabled


def _name(node: fx.Node) -> str | None:
    """The name of an operator as graphs have it; null for assertions, which static shapes do not need."""
    if node.target is operator.getitem:
        return "getitem"
    if isinstance(node.target, torch._ops.OpOverload):
        space, _, base = node.target._schema.name.partition("::")
        if base in _ASSERTIONS:
            return None
        overload = node.target._overloadname
        return f"{space}.{base}" if space == "gcnnbench" else f"{space}.{base}.{overload}"
    return str(getattr(node.target, "__name__", node.target))


def _compare(network: nn.Module, graph: GraphNetwork, images: Tensor) -> None:
    """One training step of both, which must leave the same logits, gradients and statistics."""
    found = []
    for one in (network, graph):
        one.train()
        with seeded(CPU, _STREAM):
            logits = one(images.clone())
        F.cross_entropy(logits, torch.arange(len(images)) % logits.shape[1]).backward()
        gradients = {f"gradient of {name}": value.grad for name, value in one.named_parameters()}
        buffers = {name: value for name, value in one.named_buffers() if name in network.state_dict()}
        found.append({"logits": logits.detach(), **gradients, **buffers})
    _same(found[0], found[1], "in training")


def _compare_scores(network: nn.Module, graph: GraphNetwork, images: Tensor) -> None:
    with torch.inference_mode():
        scored = for_scoring(network)(images.clone())
        graph.eval()
        again = graph(images.clone())
    _same({"logits": scored}, {"logits": again}, "in evaluation")


def _same(code: dict[str, Any], graph: dict[str, Any], where: str) -> None:
    for name, value in code.items():
        other = graph.get(name)
        if (value is None) != (other is None):
            raise GraphError(f"{where} the graph gives no {name}, or one that the code does not")
        if value is not None and other is not None and not torch.equal(value, other):
            apart = float((value - other).abs().max()) if value.shape == other.shape else float("nan")
            raise GraphError(f"{where} the graph's {name} is {apart:.1e} off the code's")
