"""The layers whose output transforms in a known way, and what they put out during a forward pass."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from gcnnbench.errors import UserError
from gcnnbench.nn.fields import Field, moved_pixels
from gcnnbench.nn.groups import Element

See = Callable[[str, Tensor, Field], None]
"""Called with the name of a layer, its output and how that output transforms."""


@dataclass(frozen=True)
class GeometricField:
    """The action on a tensor (batch, channels, …) of an e2cnn field type on a space of rotations."""

    type: Any

    def knows(self, element: Element) -> bool:
        """Quarter turns that belong to the fibre group; never a mirror, e2cnn's dihedral spaces fail on numpy 2."""
        order = self.type.gspace.fibergroup.order()
        turns_the_plane = type(self.type.gspace).__name__ == "Rot2dOnR2"
        return element == Element() or (
            turns_the_plane and not element.mirrored and (order < 0 or element.turns * order % 4 == 0)
        )

    def act(self, features: Tensor, element: Element) -> Tensor:
        """Move the pixels and let the representation act on the channels."""
        return self.act_on_fibre(moved_pixels(features, element), element)

    def act_on_fibre(self, features: Tensor, element: Element) -> Tensor:
        """Let the representation act on the channels, the second axis; a permutation of them is done by index."""
        if element == Element():
            return features
        matrix, places = _representation(self.type, element.turns)
        if places is not None:
            return features[:, places]
        return torch.einsum("oi,bi...->bo...", matrix.to(features), features)


@lru_cache(maxsize=512)
def _representation(field_type: Any, turns: int) -> tuple[Tensor, list[int] | None]:
    """The matrix of a number of quarter turns, and the channels' places where it is a permutation."""
    order = field_type.gspace.fibergroup.order()
    rotation = turns * order // 4 if order > 0 else turns * math.pi / 2
    matrix = torch.from_numpy(field_type.representation(rotation))
    places = matrix.abs().argmax(1)
    permutes = torch.allclose(nn.functional.one_hot(places, matrix.shape[1]).to(matrix), matrix, rtol=0, atol=1e-6)
    return matrix, places.tolist() if permutes else None


def is_geometric(value: object) -> bool:
    """Whether this is e2cnn's tensor with a field type."""
    return type(value).__name__ == "GeometricTensor" and type(value).__module__.startswith("e2cnn.")


class OutputError(UserError):
    """The output is of no form that can be judged."""


def output_tensor(output: Any) -> Tensor:
    """The tensor that a network or layer puts out; e2cnn's is taken from its wrapping.

    Raises:
        OutputError: it is no single tensor, or one number for all images.
    """
    tensor = output.tensor if is_geometric(output) else output
    wrap = "wrap the network in a module whose forward returns the logits"
    if not isinstance(tensor, Tensor):
        raise OutputError(f"the output is of class {type(output).__name__}; the audit needs one tensor: {wrap}")
    if tensor.ndim == 0:
        raise OutputError(f"the output is one number; the audit needs one or more for each image: {wrap}")
    return tensor


def _has_known_action(module: nn.Module) -> bool:
    geometric = any(
        kind.__name__ == "EquivariantModule" and kind.__module__.startswith("e2cnn.") for kind in type(module).__mro__
    )
    return geometric or isinstance(getattr(module, "field", None), Field)


def depth_names(network: nn.Module) -> tuple[str, ...]:
    """The layers whose error a record keeps: those the network names in `depths`, else its direct known children.

    Raises:
        UserError: `depths` names a layer that is not there, or one whose action is not known.
    """
    named = getattr(network, "depths", ())
    modules = dict(network.named_modules())
    for name in named:
        if name not in modules:
            raise UserError(f"depths names {name!r}, but the network has no such layer: {', '.join(modules)}")
        if not _has_known_action(modules[name]):
            raise UserError(f"depths names {name!r}, but this layer has no `field` that says how its output transforms")
    return tuple(named) or tuple(name for name, child in network.named_children() if _has_known_action(child))


def known_layers(network: nn.Module) -> tuple[str, ...]:
    """Every layer below the network, at any level, whose output transforms in a known way."""
    return tuple(name for name, module in network.named_modules() if name and _has_known_action(module))


@contextmanager
def observed(network: nn.Module, names: tuple[str, ...], see: See) -> Iterator[None]:
    """Show the outputs of these layers during one forward pass, in the order in which they ran.

    A layer that runs again is shown as `name#2`, `name#3`, …; outputs that are neither a tensor nor e2cnn's are not
    shown.
    """
    runs: Counter[str] = Counter()

    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def show(module: nn.Module, arguments: Any, output: Any) -> None:  # noqa: ARG001
            runs[name] += 1
            shown = name if runs[name] == 1 else f"{name}#{runs[name]}"
            if is_geometric(output):
                see(shown, output.tensor, GeometricField(output.type))
            elif isinstance(output, Tensor) and isinstance(field := getattr(module, "field", None), Field):
                see(shown, output, field)

        return show

    modules = dict(network.named_modules())
    with ExitStack() as hooks:
        for name in names:
            hooks.enter_context(modules[name].register_forward_hook(hook(name)))
        yield
