"""Whether a module computes what its class is known to compute, so that another form may stand for it."""

from __future__ import annotations

from typing import TypeGuard, TypeVar

from torch import nn
from torch.nn.modules.module import _has_any_global_hook

from gcnnbench.nn.activation import ReLU
from gcnnbench.nn.bank import BankConv
from gcnnbench.nn.separable import SeparableGroupConv

OURS, ENTRIES = "gcnnbench", "gcnnbench.models"
"""The packages of this suite's classes, and of those among them that a network brings along."""
FORWARD_HOOKS = ("_forward_pre_hooks", "_forward_hooks")
"""Where a module keeps functions that others hung on its forward pass."""

Convolution = BankConv | SeparableGroupConv
Kind = TypeVar("Kind", bound=nn.Module)


def is_of_this_suite(kind: type[nn.Module]) -> bool:
    """Whether a class is the suite's own, and none that a network brings along."""
    place = f"{kind.__module__}."
    return place.startswith(f"{OURS}.") and not place.startswith(f"{ENTRIES}.")


def computes_as(module: nn.Module, kind: type[Kind], *through: str) -> TypeGuard[Kind]:
    """Whether a call of the module is one of `kind`: it has no forward pass of its own, and no hooks run with it.

    A subclass may add a constructor, weights and methods; `isinstance` alone does not tell what it computes.

    Args:
        module: any module.
        kind: the class whose forward pass is known.
        *through: further methods of `kind` that its forward pass goes through, or that its other form is made by.
    """
    return calls_as(module, kind, *through) and not _has_any_global_hook()


def calls_as(module: nn.Module, kind: type[Kind], *through: str) -> TypeGuard[Kind]:
    """The same, whatever hooks the process has on every module (`computes_as`)."""
    names = ("__call__", "forward", *through)
    return (
        isinstance(module, kind)
        and all(getattr(type(module), name) is getattr(kind, name) for name in names)
        and not any(name in vars(module) for name in names)
        and not any(getattr(module, hooks) for hooks in FORWARD_HOOKS)
    )


def is_chain(module: nn.Module) -> TypeGuard[nn.Sequential]:
    """Whether a module is its children, called one after another; so is a `Network`."""
    return computes_as(module, nn.Sequential, "__iter__")


def is_convolution(module: nn.Module) -> TypeGuard[Convolution]:
    """Whether a module is the convolution with its finished bank, which a subclass of `BankConv` makes as it likes."""
    return computes_as(module, BankConv) or computes_as(module, SeparableGroupConv, "bank", "weight")


def is_relu(module: nn.Module) -> bool:
    """Whether a module is the positive part."""
    return computes_as(module, nn.ReLU) or computes_as(module, ReLU)
