"""Finds what no network needs (the interpreter, files, hooks, optimisers) by reading submitted code; none of it is run.

A network imports PyTorch, numpy, this suite's layers and what its card requires, and computes. What reaches for other
things (the interpreter, files, the garbage collector, frames, optimisers, hooks) is named. This finds what is done in
the plain way; what makes sure is that no submitted code runs where weights are trained.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping

from gcnnbench.submissions.findings import Finding


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_STANDARD = _words("""
__future__ abc cmath collections copy dataclasses enum fractions functools itertools math numbers operator typing types
typing_extensions warnings
""")
_LIBRARIES = ("numpy", "scipy", "torch", "gcnnbench")
_OURS = ("gcnnbench.nn", "gcnnbench.architectures", "gcnnbench.models", "gcnnbench.errors")
_SHUT = _words("""
torch.optim torch.multiprocessing torch.distributed torch.jit torch.package torch.hub torch.utils.data torch.library
torch.utils.cpp_extension torch._C torch._dynamo torch._inductor torch.serialization torch.utils.hooks torch.fx
torch.autograd.graph
""")
_CALLS = _words("eval exec compile __import__ open globals locals vars input breakpoint delattr")
_ATTRIBUTES = re.compile(
    r"(__(globals|code|closure|subclasses|bases|mro|builtins|import|loader|spec|dict)__|f_(back|locals|globals)|gi_frame"
    r"|_getframe|tb_frame|register_.*hook|register_module_.*|_forward_hooks|_backward_hooks|set_default_dtype"
    r"|manual_seed|set_rng_state|use_deterministic_algorithms|set_num_threads|load_library|from_file)"
)
_TRAINING = re.compile(r"(backward|zero_grad|cross_entropy|nll_loss|optim)")
REMEDY = "a network imports torch, numpy, gcnnbench.nn and what its card requires, and computes: leave this out"


def construct_findings(files: Mapping[str, bytes], requires: Iterable[str]) -> Iterator[Finding]:
    """What the code of a submission reaches for that no network needs.

    Args:
        files: its files by name.
        requires: the packages that its card names.
    """
    packages = {re.split(r"[^\w.-]", one, maxsplit=1)[0].replace("-", "_") for one in requires}
    for name, content in files.items():
        if not name.endswith(".py"):
            continue
        try:
            tree = ast.parse(content)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            yield Finding(check="import", what=f"{name} is no Python: {told}", remedy="write code that parses")
            continue
        for line, what in sorted(set(_found(tree, packages))):
            yield Finding(check="construct", what=f"{name}:{line} {what}", remedy=REMEDY)


def _found(tree: ast.Module, packages: set[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if not _may_import(alias.name, packages):
                    yield node.lineno, f"imports {alias.name}"
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if not _may_import(str(node.module), packages) or full in _SHUT:
                    yield node.lineno, f"imports {full}"
        elif isinstance(node, ast.Attribute):
            if _ATTRIBUTES.fullmatch(node.attr) or _TRAINING.fullmatch(node.attr):
                yield node.lineno, f"uses .{node.attr}"
            elif _dotted(node) in _SHUT:
                yield node.lineno, f"uses {_dotted(node)}"
            elif isinstance(node.ctx, ast.Store | ast.Del) and _is_module(node.value):
                yield node.lineno, f"changes {_dotted(node)}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CALLS:
            yield node.lineno, f"calls {node.func.id}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("setattr", "getattr"):
            wanted = node.args[1] if len(node.args) > 1 else None
            if not isinstance(wanted, ast.Constant) and _is_module(node.args[0] if node.args else None):
                yield node.lineno, f"calls {node.func.id} on a module with a computed name"
            elif isinstance(wanted, ast.Constant) and _ATTRIBUTES.fullmatch(str(wanted.value)):
                yield node.lineno, f"uses .{wanted.value!s}"


def _may_import(module: str, packages: set[str]) -> bool:
    top = module.partition(".")[0]
    if module == "gcnnbench" or (top == "gcnnbench" and not any(f"{module}.".startswith(f"{one}.") for one in _OURS)):
        return False
    if any(f"{module}.".startswith(f"{shut}.") for shut in _SHUT):
        return False
    return top in _STANDARD or top in _LIBRARIES or top in packages


def _dotted(node: ast.expr | None) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


_MODULES = ("torch", "nn", "functional", "F", "numpy", "np", "math", "gcnnbench", "builtins")


def _is_module(node: ast.expr | None) -> bool:
    """Whether an expression looks like a module of a library, by how they are called everywhere."""
    name = _dotted(node)
    return bool(name) and name.partition(".")[0] in _MODULES
