"""What `train` and `eval` return is used nowhere: those of a network that freezes its norms often return nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGES = Path(__file__).resolve().parents[2] / "benchmark"


def modes_set(text: str) -> Iterator[tuple[int, bool]]:
    """The line of each call of a network's `train` or `eval`, and whether what it returns is used."""
    nodes = list(ast.walk(ast.parse(text)))
    statements = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("train", "eval"):
            yield node.lineno, id(node) not in statements


def test_what_train_and_eval_return_is_used_nowhere() -> None:
    found = [(path, *one) for path in sorted(PACKAGES.rglob("*.py")) for one in modes_set(path.read_text("utf-8"))]
    assert len(found) > 20
    assert [f"{path.relative_to(PACKAGES)}:{line}" for path, line, used in found if used] == []


def test_a_use_of_it_is_seen() -> None:
    assert list(modes_set("net.eval()\nnet = net.train()\nnet.train(True)(x)")) == [(1, False), (2, True), (3, True)]
