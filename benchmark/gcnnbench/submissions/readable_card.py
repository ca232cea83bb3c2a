"""A submission's card that is wrong somewhere, read as far as it is right: one mistake in it hides no other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gcnnbench.cards.card_files import read_card_files
from gcnnbench.cards.checks import cross_check
from gcnnbench.cards.messages import choice, nearest, shown
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cards.reading import CardFile, CardsError, Finding, card_of
from gcnnbench.cards.registry import Registry
from gcnnbench.cards.source import Document, read_source

_NO_SYMMETRY: dict[str, Any] = {"group": "trivial", "exact_at": [], "approximate_at": [], "learnt_at": []}
_SILENT: dict[str, Any] = {
    "title": "–",
    "summary": "–",
    "sources": [],
    "model_version": 1,
    "authors": ["–"],
    "licence": "–",
    "smallest_size": None,
    "requires": [],
    "deviations": [],
    "assumptions": [],
    "enters": None,
    "citation": None,
}
"""What stands for a wrong value while the rest is looked at: it says nothing that could be wrong.

A key without such a value decides which network is built or what is known of it: where it is wrong nothing is tried.
"""


def readable_card(
    path: Path, include: Sequence[Path]
) -> tuple[CardFile[ModelCard] | None, Registry | None, list[Finding]]:
    """Read a card, and go on without what is wrong in it.

    Args:
        path: the card's file.
        include: further cards, as of a benchmark that is not registered.

    Returns:
        The card with the registry that holds it, as far as both are right, and everything that is wrong. Both are None
        where too little is right for a network to be tried.
    """
    document = read_source(path)
    wrong = list(_unknown_benchmarks(path, document, include)) if document.readable else []
    while True:
        file: CardFile[ModelCard] | None = None
        try:
            file = card_of(path, document, ModelCard)
            registry = _registry_with(file, include)
        except CardsError as error:
            wrong += error.errors
            rest = _without(document, error.errors, path, fits=file is not None)
            if rest is None or rest.data == document.data:
                return None, None, sorted(set(wrong))
            document = rest
        else:
            tried = not wrong or file.card.enters
            return (file if tried else None), (registry if tried else None), sorted(set(wrong))


def _unknown_benchmarks(path: Path, document: Document, include: Sequence[Path]) -> Iterable[Finding]:
    """The names in `enters` that no benchmark has, whatever else is wrong there."""
    known = read_card_files(include).benchmarks
    entering = document.data.get("enters") if isinstance(document.data, dict) else None
    for index, one in enumerate(entering if isinstance(entering, list) else ()):
        name = one.get("benchmark") if isinstance(one, dict) else None
        if isinstance(name, str) and name not in known:
            at = document.position(("enters", index, "benchmark"))
            message = f"there is no benchmark {shown(name)}; {choice(name, sorted(known))}"
            yield Finding(path, at.line, at.column, f"enters[{index}].benchmark", message)


def _registry_with(file: CardFile[ModelCard], include: Sequence[Path]) -> Registry:
    """The registered cards and this one, in the place of a registered one of its name.

    Raises:
        CardsError: this card does not fit the others.
    """
    card_files = read_card_files(include)
    card_files.models[file.card.name] = file
    card_files.findings += cross_check(card_files)
    return Registry.of(card_files)


def _without(document: Document, errors: Iterable[Finding], path: Path, *, fits: bool) -> Document | None:
    """The document without what is wrong; null where something is that nothing can stand for.

    Args:
        document: what the card says.
        errors: what is wrong with it.
        path: its file; the folder's name is the right one.
        fits: whether the card itself is right and only does not fit the others.
    """
    if not isinstance(document.data, dict):
        return None
    data, left_out = dict(document.data), set[int]()
    for error in errors:
        key = re.split(r"[.\[]", error.key)[0]
        if key not in ModelCard.model_fields and key in data:
            del data[key]
            key = nearest(key, ModelCard.model_fields) or key
        if error.path != path or not key:
            return None
        if key == "name":
            data["name"] = path.resolve().parent.name
        elif key in _NO_SYMMETRY:
            data |= _NO_SYMMETRY
        elif fits and (item := re.match(r"enters\[(\d+)\]", error.key)):
            left_out.add(int(item[1]))
        elif key in _SILENT:
            data[key] = _SILENT[key]
        elif key in ModelCard.model_fields:
            return None
    if left_out:
        data["enters"] = [one for index, one in enumerate(data["enters"]) if index not in left_out]
    return replace(document, data=data, errors=(), faulty=frozenset())
