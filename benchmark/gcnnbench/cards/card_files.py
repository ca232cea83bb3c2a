"""Reads every card file that is registered or named by the user; those that cannot be read become findings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Literal, TypeVar

from gcnnbench.cards.base import Described
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.bibliography import read_bibliography
from gcnnbench.cards.dataset_card import DatasetCard
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cards.reading import CardFile, CardsError, Finding, open_card
from gcnnbench.cards.source import CARD_BYTES
from gcnnbench.errors import UserError
from gcnnbench.plain_files import read_plain

Kind = Literal["model", "dataset", "benchmark"]
AnyKind = Kind | Literal["claims"]

REGISTRY = Path(__file__).resolve().parents[1] / "registry"
CLAIMS = re.compile(r"^claims:", re.MULTILINE)
"""What a card of claims says and no other card does."""


@dataclass
class CardFiles:
    """All cards with the files they stand in, by name; `broken` names those that could not be read.

    Superseded versions of benchmarks stand under `name@version`. `looked_at` are the files of all these cards, whatever
    was found in them; `claims` those of the user's cards of claims, which are read once all other cards are right.
    """

    models: dict[str, CardFile[ModelCard]] = field(default_factory=dict)
    datasets: dict[str, CardFile[DatasetCard]] = field(default_factory=dict)
    benchmarks: dict[str, CardFile[BenchmarkCard]] = field(default_factory=dict)
    superseded: dict[str, CardFile[BenchmarkCard]] = field(default_factory=dict)
    looked_at: list[Path] = field(default_factory=list)
    claims: list[Path] = field(default_factory=list)
    bibliography: dict[str, str] = field(default_factory=dict)
    broken: set[tuple[Kind, str]] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)

    @property
    def files(self) -> list[CardFile[ModelCard] | CardFile[DatasetCard] | CardFile[BenchmarkCard]]:
        """Every card file that was read."""
        return [
            *self.models.values(),
            *self.datasets.values(),
            *self.benchmarks.values(),
            *self.superseded.values(),
        ]


def read_card_files(include: Sequence[Path] = ()) -> CardFiles:
    """Read all registered cards, and those at the given paths.

    Args:
        include: card files, claims cards among them, folders of a model or data set, or folders that hold such at any
            depth.

    Raises:
        UserError: a path holds no card, or the bibliography cannot be read.
    """
    card_files = CardFiles(bibliography=read_bibliography(REGISTRY / "references.bib"))
    seen: set[Path] = set()
    for kind, path in [*registered_cards(), *(found for given in include for found in cards_at(given))]:
        if path.resolve() in seen:
            continue
        seen.add(path.resolve())
        if kind != "claims":
            _add(card_files, kind, path.absolute())
        elif path.resolve().parent != REGISTRY / "claims":
            card_files.claims.append(path.absolute())
    return card_files


def registered_cards() -> Iterator[tuple[AnyKind, Path]]:
    """The kind and the file of each registered card; the directories are the registry."""
    kinds: tuple[tuple[Kind, str], ...] = (("model", "gcnnbench.models"), ("dataset", "gcnnbench.datasets"))
    for kind, package in kinds:
        for folder in import_module(package).__path__:
            for entry in sorted(Path(folder).iterdir()):
                if _is_entry(entry):
                    yield kind, entry / f"{kind}.yaml"
    for path in (path for name in ("benchmarks", "superseded") for path in sorted((REGISTRY / name).glob("*.yaml"))):
        yield "benchmark", path


def cards_at(path: Path) -> list[tuple[AnyKind, Path]]:
    """The kind and the file of each card at a path that the user gave.

    Raises:
        UserError: there is no card.
    """
    if path.is_file():
        return [(_kind(path), path)]
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    found = sorted(path.rglob("*.yaml"))
    if not found:
        raise UserError(f"{path}: no card in it; a model's is model.yaml, a data set's dataset.yaml")
    return [(_kind(file), file) for file in found]


def card_name(kind: Kind, path: Path) -> str:
    """The name that a card must have by where it stands: its folder's, or a benchmark's file name.

    A superseded version of a benchmark is called `name@version`.
    """
    return path.stem if kind == "benchmark" else path.resolve().parent.name


def _kind(path: Path) -> AnyKind:
    if path.name in ("model.yaml", "dataset.yaml"):
        return "model" if path.name == "model.yaml" else "dataset"
    try:
        text = read_plain(path, CARD_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return "benchmark"  # reading it as a card says what is wrong
    return "claims" if CLAIMS.search(text) else "benchmark"


def _is_entry(folder: Path) -> bool:
    """Whether a folder holds anything but what Python left behind when an entry was removed."""
    if not folder.is_dir() or folder.name.startswith(("_", ".")):
        return False
    return any(child.name != "__pycache__" for child in folder.iterdir())


def _add(card_files: CardFiles, kind: Kind, path: Path) -> None:
    """Read one card into them."""
    card_files.looked_at.append(path)
    try:
        if kind == "model":
            _place(card_files, card_files.models, open_card(path, ModelCard))
        elif kind == "dataset":
            _place(card_files, card_files.datasets, open_card(path, DatasetCard))
        else:
            file = open_card(path, BenchmarkCard)
            if file.card.superseded_by is None:
                _place(card_files, card_files.benchmarks, file)
            else:
                _place(card_files, card_files.superseded, file, file.card.full_name)
    except CardsError as error:
        card_files.findings += error.errors
        card_files.broken.add((kind, card_name(kind, path)))


CardT = TypeVar("CardT", bound=Described)


def _place(
    card_files: CardFiles, cards: dict[str, CardFile[CardT]], file: CardFile[CardT], name: str | None = None
) -> None:
    name = name or file.card.name
    if name in cards:
        card_files.findings.append(file.error(("name",), f"{name} is taken by {cards[name].path}; choose another name"))
    else:
        cards[name] = file
