"""The modules that are known to be equivariant, by whose code they are, and what they do to their input's field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn
from torch.nn.modules.module import _has_any_global_hook

from gcnnbench.equivariance.certificate.tracked import Known, Tracked
from gcnnbench.equivariance.depths import GeometricField, is_geometric
from gcnnbench.equivariance.steering import symmetric_filters
from gcnnbench.nn.bank import BankConv
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.fields import CyclicField, Field, Invariant, ScalarField, feature_field
from gcnnbench.nn.groups import Element, Group
from gcnnbench.nn.polyphase import AdaptivePolyphaseSampling
from gcnnbench.nn.subsampling import EquivariantMaxPool, EquivariantSubsample

MOVING_GRIDS = (EquivariantMaxPool, EquivariantSubsample, AdaptivePolyphaseSampling)
SUITE_LAYERS = ("gcnnbench.nn.", "gcnnbench.architectures.", "gcnnbench.rewriting.")
KNOWN_CODE = ("torch.nn.", "e2cnn.", *SUITE_LAYERS)


def known_code(module: nn.Module) -> bool:
    """Whether a module's class, `forward` and hooks are code of torch, e2cnn or the suite; its children aside.

    No method may be replaced on the module itself but by `symmetric_filters`, and no hook run in every module.
    """
    code = (type(module), module.forward, *module._forward_pre_hooks.values(), *module._forward_hooks.values())
    return (
        all(str(getattr(one, "__module__", None)).startswith(KNOWN_CODE) for one in code)
        and all(getattr(one, "__module__", None) == symmetric_filters.__module__ for one in _replaced_methods(module))
        and not _has_any_global_hook()
    )


def _replaced_methods(module: nn.Module) -> list[Any]:
    """What stands in the place of methods of its class on a module itself."""
    return [
        value for name, value in vars(module).items() if callable(value) and callable(getattr(type(module), name, None))
    ]


def turns_or_mirrors(element: Element) -> bool:
    """Whether an element does more than shift."""
    return element.point != Element()


def _geometric(field_type: Any) -> Field:
    trivial = all(representation.is_trivial() for representation in field_type.representations)
    return ScalarField() if trivial else GeometricField(field_type)


def known_rule(module: nn.Module, elements: Sequence[Element]) -> Known | None:
    """What a module does that is known to be equivariant under these elements.

    Known are the suite's own layers and blocks and those of e2cnn; a class derived from one of them elsewhere may do
    something else in its `forward` and is not known. Nor is a convolution whose filters can leave the symmetry.
    """
    home = type(module).__module__
    rule: Known | None = None
    if home.startswith("e2cnn.nn."):
        rule = _e2cnn_rule(module)
    elif home.startswith(SUITE_LAYERS):
        rule = _suite_rule(module)
    if rule is not None and elements and not any(map(turns_or_mirrors, elements)):
        return replace(rule, needs=ScalarField(), gives=ScalarField())
    if rule is None:
        return None
    fields = (rule.needs, rule.gives, *_types(module))
    if not all(field.knows(element) for field in fields for element in elements):
        return None
    group = None if type(module) in MOVING_GRIDS else getattr(module, "group", None)
    return rule if not isinstance(group, Group) or all(element.point in group for element in elements) else None


def _types(module: Any) -> list[Field]:
    """e2cnn's types of a module or of the one it wraps: between scalar fields, too, filters know only their group."""
    inner = getattr(module, "module", module)
    return [GeometricField(getattr(inner, name)) for name in ("in_type", "out_type") if hasattr(inner, name)]


def _e2cnn_rule(module: nn.Module) -> Known | None:
    if type(module).__name__ == "MaxPoolChannels":  # what e2cnn's group pooling exports
        return Known(CyclicField(module.kernel_size), ScalarField())  # type: ignore[arg-type]
    if hasattr(module, "in_type") and hasattr(module, "out_type"):
        return Known(_geometric(module.in_type), _geometric(module.out_type))
    return None


def _suite_rule(module: nn.Module) -> Known | None:
    field = getattr(module, "field", None)
    if not isinstance(field, Field) or (isinstance(module, BankConv) and type(module) is not GroupConv):
        return None
    gives: Field = ScalarField() if isinstance(field, Invariant) else field
    inner = getattr(module, "module", None)
    if inner is not None and hasattr(inner, "in_type"):
        from gcnnbench.nn.steerable import field_of  # here, for e2cnn is slow to import

        return Known(field_of(inner.in_type), gives)
    source = getattr(module, "in_group", getattr(module, "group", None))
    if source is None:
        return None
    kind = type(module)
    return Known(feature_field(source), gives, kind in MOVING_GRIDS, kind is AdaptivePolyphaseSampling)


def own_field(value: Any, state: Tracked) -> Field | None:
    """The field of a module's input: e2cnn's tensors name theirs, and it must not contradict what is tracked."""
    if not is_geometric(value):
        return state.field
    named = _geometric(value.type)
    return named if state.field == named else None
