"""Detects whether submitted code changed torch's functions, its global state, or this package.

What runs in the same process can also deceive this comparison, if it is written to; it catches what is done in passing,
by accident or in the plain way. What counts is made sure of elsewhere: in a fresh process and on the host.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import safetensors.torch
import torch
import torch.optim.optimizer as optimizer_hooks
from torch import nn
from torch.nn import functional
from torch.nn.modules import module as module_hooks
from torch.overrides import _get_current_function_mode_stack
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from gcnnbench.submissions.findings import Finding

Snapshot = Mapping[str, object]

_TORCH = Path(torch.__file__).parent
_MODULES = (torch, functional, nn, nn.init, torch.optim, torch.linalg, torch.autograd, safetensors.torch, builtins)
_CLASSES = (torch.Tensor, nn.Module, nn.Parameter, torch.optim.Optimizer, torch.optim.Adam, torch.optim.SGD)
_OPTIMISER_HOOKS = ("_global_optimizer_pre_hooks", "_global_optimizer_post_hooks")
_HOOKS = ("_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks")


def snapshot() -> Snapshot:
    """Everything that foreign code has no business changing, by name, as it is now."""
    ours = [module for name, module in sorted(sys.modules.items()) if name.startswith("gcnnbench.")]
    taken: dict[str, object] = {}
    owners: tuple[ModuleType | type, ...] = (*_MODULES, *_CLASSES, *ours)
    for owner in owners:
        for name, value in list(vars(owner).items()):
            if (callable(value) or owner in ours) and not isinstance(value, ModuleType) and not name.startswith("__"):
                taken[f"{owner.__name__}.{name}"] = value
    return {**taken, **dict(_settings())}


def _settings() -> Iterator[tuple[str, object]]:
    yield "torch's default dtype", torch.get_default_dtype()
    yield "torch's default device", torch.get_default_device()
    yield "torch's deterministic mode", torch.are_deterministic_algorithms_enabled()
    yield "whether torch records gradients", torch.is_grad_enabled()
    yield "torch's modes", (*_get_current_function_mode_stack(), *_get_current_dispatch_mode_stack())
    yield "torch's hooks of all modules", tuple(len(getattr(module_hooks, name)) for name in _HOOKS)
    yield "torch's hooks of all optimisers", tuple(len(getattr(optimizer_hooks, name)) for name in _OPTIMISER_HOOKS)
    yield "python's trace function", sys.gettrace()
    yield "python's profile function", sys.getprofile()


def changes(before: Snapshot) -> Iterator[Finding]:
    """What is no longer as it was; one finding for all of it."""
    after = snapshot()
    changed = [name for name, value in before.items() if not _same(after.get(name), value)]
    if changed:
        some = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
        yield Finding(
            check="integrity",
            what=f"the code changed {some}",
            remedy="leave torch and the suite as they are: write your own function or module instead",
        )


def _same(now: object, before: object) -> bool:
    if isinstance(before, bool | str | int | tuple | torch.dtype | torch.device):
        return now == before
    return now is before or _wrapped_by_torch(now, before)


def _wrapped_by_torch(now: object, before: object) -> bool:
    """Whether torch put a function of its own around one, as it does to keep its compiler out when that is loaded."""
    code = getattr(now, "__code__", None)
    inside = code is not None and Path(code.co_filename).is_relative_to(_TORCH)
    return inside and getattr(now, "__wrapped__", None) is before
