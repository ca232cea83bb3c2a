"""What a docstring lists under `Args:` are arguments that there are: the build of the documentation refuses others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "benchmark/gcnnbench"
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def documented(docstring: str) -> list[str]:
    """The names under `Args:`, up to the next section."""
    _, found, rest = docstring.partition("\nArgs:\n")
    section = re.split(r"\n\S", rest)[0] if found else ""
    return re.findall(r"^    (\S+):", section, re.MULTILINE)


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    given = function.args
    starred = (("*", given.vararg), ("**", given.kwarg))
    return {one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)} | {
        f"{stars}{one.arg}" for stars, one in starred if one
    }


def of_class(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> set[str]:
    """The parameters of its constructor, or of one that it inherits from a class of the same file; or its fields."""
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return parameters(part)
    fields = {
        part.target.id for part in node.body if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
    }
    bases = [classes[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in classes]
    return fields.union(*(of_class(base, classes) for base in bases))


def listed(text: str) -> Iterator[tuple[str, str, bool]]:
    """Where an argument is listed, its name, and whether there is one."""
    nodes = list(ast.walk(ast.parse(text)))
    classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
    for node in nodes:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            there = of_class(node, classes) if isinstance(node, ast.ClassDef) else parameters(node)
            yield from ((node.name, name, name in there) for name in documented(ast.get_docstring(node) or ""))


def test_every_listed_argument_is_one() -> None:
    found = [(path, *one) for path in sorted(PACKAGE.rglob("*.py")) for one in listed(path.read_text("utf-8"))]
    assert len(found) > 1000
    assert [f"{path.relative_to(PACKAGE)}: {where}: {name}" for path, where, name, there in found if not there] == []


def test_one_that_is_none_is_seen() -> None:
    sections = "Do.\n\n    Args:\n        a: one.\n        b: two.\n\n    Raises:\n        UserError: c.\n    "
    text = f'def f(a, *b):\n    """{sections}"""\n'
    assert list(listed(text)) == [("f", "a", True), ("f", "b", False)]
