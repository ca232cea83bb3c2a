"""The registry: every valid card by name, and the way from a card to its code. The directories are the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gcnnbench.cards.base import Described, split_entry
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.card_files import CardFiles, Kind, read_card_files
from gcnnbench.cards.checks import cross_check
from gcnnbench.cards.dataset_card import DatasetCard
from gcnnbench.cards.entries import build_network, load_module
from gcnnbench.cards.messages import choice
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cards.reading import CardsError
from gcnnbench.errors import UserError

if TYPE_CHECKING:
    from types import ModuleType

    from torch import nn

CardT = TypeVar("CardT", bound=Described)


@dataclass(frozen=True)
class Registry:
    """Cards by name, each with the file it stands in; picklable.

    `paths` maps (kind, name) to the card's file, `bibliography` a source's key to its BibTeX, and `superseded` the full
    name of an earlier version of a benchmark to its card; by that name its file stands in `paths`. `claims` are the
    files of the user's own cards of claims.
    """

    models: Mapping[str, ModelCard]
    datasets: Mapping[str, DatasetCard]
    benchmarks: Mapping[str, BenchmarkCard]
    paths: Mapping[tuple[Kind, str], Path]
    bibliography: Mapping[str, str]
    superseded: Mapping[str, BenchmarkCard] = field(default_factory=dict)
    claims: Sequence[Path] = ()

    @classmethod
    def load(cls, include: Sequence[Path] = ()) -> Registry:
        """Read every registered card, and those at the paths given (folders of models anywhere on disk, say).

        Raises:
            CardsError: any of these cards is wrong; all errors of all files at once.
            UserError: a path holds no card.
        """
        return cls.of(survey(include))

    @classmethod
    def of(cls, card_files: CardFiles) -> Registry:
        """The cards of a card_files that was surveyed.

        Raises:
            CardsError: something is wrong with any of them.
        """
        if card_files.findings:
            raise CardsError(card_files.findings)
        models = {name: file.card for name, file in sorted(card_files.models.items())}
        return cls(
            models=models,
            datasets={name: file.card for name, file in sorted(card_files.datasets.items())},
            benchmarks={name: _entered(file.card, models) for name, file in sorted(card_files.benchmarks.items())},
            paths=_paths(card_files),
            bibliography=dict(card_files.bibliography),
            superseded={name: file.card for name, file in sorted(card_files.superseded.items())},
            claims=tuple(card_files.claims),
        )

    def model(self, name: str) -> ModelCard:
        """The card of a model; `slug@size` will do too.

        Raises:
            UserError: there is none of that name.
        """
        return _found("model", name.partition("@")[0], self.models)

    def dataset(self, name: str) -> DatasetCard:
        """The card of a data set.

        Raises:
            UserError: there is none of that name.
        """
        return _found("data set", name, self.datasets)

    def benchmark(self, name: str) -> BenchmarkCard:
        """The card of a benchmark by `name`, its current version, or by `name@version`.

        Raises:
            UserError: there is none of that name, or none of that version.
        """
        if name in self.superseded:
            return self.superseded[name]
        plain, at, _ = name.partition("@")
        card = _found("benchmark", plain, self.benchmarks)
        if at and name != card.full_name:
            known = ", ".join([card.full_name, *(full for full in self.superseded if full.startswith(f"{plain}@"))])
            raise UserError(f"{name}: the registry has {known}; other versions live in the repository's history")
        return card

    def chosen(self, benchmarks: Sequence[str], entries: Sequence[str] = ()) -> list[BenchmarkCard]:
        """The cards of the benchmarks that a user names, each as `benchmark` finds it.

        Raises:
            UserError: there is no such benchmark, or none of them has one of the entries.
        """
        cards = [self.benchmark(name) for name in benchmarks]
        known = sorted({entry for card in cards for entry in card.entries})
        for entry in entries:
            if entry not in known:
                told = " and of ".join(card.full_name for card in cards)
                raise UserError(f"{entry} is no entry of {told}; {choice(entry, known)}")
        return cards

    def family(self, name: str) -> list[BenchmarkCard]:
        """The current benchmarks of a family.

        Raises:
            UserError: there is none.
        """
        cards = [card for card in self.benchmarks.values() if card.family == name]
        if not cards:
            there = sorted({card.family for card in self.benchmarks.values() if card.family})
            raise UserError(f"there is no family '{name}' of benchmarks; {choice(name, there) if there else 'none is'}")
        return cards

    def versions(self) -> dict[str, BenchmarkCard]:
        """The cards of all benchmarks, current and superseded, by `name@version`; the current ones first."""
        return {card.full_name: card for card in self.benchmarks.values()} | dict(self.superseded)

    def at(self, card: BenchmarkCard) -> Registry:
        """The registry as it was when this version of a benchmark was its current one."""
        return replace(self, benchmarks={**self.benchmarks, card.name: card})

    def card_of(self, full_name: str) -> BenchmarkCard | None:
        """The card that a record's `name@version` speaks of: that version's, else the current one's; null for none."""
        return self.superseded.get(full_name) or self.benchmarks.get(full_name.partition("@")[0])

    def folder(self, kind: Kind, name: str) -> Path:
        """The folder in which a card stands."""
        return self.paths[kind, name].parent

    def build(self, entry: str, benchmark: BenchmarkCard) -> nn.Module:
        """The network of an entry for a benchmark's input and classes, its weights drawn from torch's generator.

        Args:
            entry: `slug@size`.
            benchmark: says the channels, and through its data set the classes.

        Raises:
            UserError: there is no such entry, its code cannot be imported, or its `build` fails.
        """
        try:
            slug, size = split_entry(entry)
        except ValueError as error:
            raise UserError(str(error)) from None
        card = self.model(slug)
        return build_network(
            self.module("model", slug),
            entry,
            size=size,
            channels=benchmark.input.channels,
            classes=self.dataset(benchmark.dataset).classes,
            hyperparameters=card.hyperparameters,
            black=benchmark.input.black,
        )

    def module(self, kind: Kind, name: str) -> ModuleType:
        """The code of a model (`model.py`) or data set (`dataset.py`).

        Raises:
            UserError: there is no such card, or the code cannot be imported.
        """
        requires = self.model(name).requires if kind == "model" else ()
        if kind == "dataset":
            self.dataset(name)
        return load_module(kind, name, self.folder(kind, name), requires)


def survey(include: Sequence[Path] = ()) -> CardFiles:
    """All cards with everything that is wrong with them, for `validate`; does not raise for what cards say."""
    card_files = read_card_files(include)
    card_files.findings += cross_check(card_files)
    card_files.findings.sort()
    return card_files


def _entered(benchmark: BenchmarkCard, models: Mapping[str, ModelCard]) -> BenchmarkCard:
    """The benchmark with the entries that models' own cards add; networks that come trained are not among them."""
    added = (
        f"{model.name}@{size}"
        for model in models.values()
        if model.trained_on is None
        for entering in model.enters or ()
        if entering.benchmark == benchmark.name
        for size in entering.sizes
    )
    entries = tuple(dict.fromkeys((*benchmark.entries, *added)))
    return benchmark if entries == benchmark.entries else benchmark.model_copy(update={"entries": entries})


def _paths(card_files: CardFiles) -> dict[tuple[Kind, str], Path]:
    paths: dict[tuple[Kind, str], Path] = {}
    paths |= {("model", name): file.path for name, file in card_files.models.items()}
    paths |= {("dataset", name): file.path for name, file in card_files.datasets.items()}
    paths |= {("benchmark", name): file.path for name, file in card_files.benchmarks.items()}
    paths |= {("benchmark", name): file.path for name, file in card_files.superseded.items()}
    return paths


def _found(kind: str, name: str, cards: Mapping[str, CardT]) -> CardT:
    if name in cards:
        return cards[name]
    near = get_close_matches(name, cards, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(cards) or 'none'}"
    raise UserError(f"there is no {kind} '{name}'; {hint}")
