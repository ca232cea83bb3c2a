"""What the leaderboard's page shows of boards, cards and records, arranged for its templates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.benchmark_card import PURPOSES, BenchmarkCard
from gcnnbench.cards.dataset_card import DatasetCard
from gcnnbench.cards.elements import ELEMENTS
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cards.registry import Registry
from gcnnbench.layout import Table
from gcnnbench.leaderboard.board import Board, Pair, Row
from gcnnbench.leaderboard.folds import folds_table
from gcnnbench.leaderboard.notes import notes
from gcnnbench.leaderboard.records import StoredRecord
from gcnnbench.leaderboard.text import pairs_caption
from gcnnbench.leaderboard.weights_only import weights_only_table
from gcnnbench.pages.charts import Chart
from gcnnbench.pages.lineage import row_name
from gcnnbench.pages.protocol_text import protocol

SHOWN = {
    "accuracy.upright": ("upright", "accuracy on upright test images"),
    "accuracy.unseen": ("unseen", "mean accuracy under the elements of the group that training never showed"),
    "accuracy.orbit": ("orbit", "mean accuracy under all elements of the group"),
    "accuracy.curve_mean": ("curve mean", "mean accuracy over all rotation angles, bilinear"),
    "auc": ("AUC", "area under the ROC curve on upright test images"),
    "invariance_error": ("inv. error", "relative change of the logits under the group, measured in float64"),
    "flips": ("flips", "share of predictions that an element of the group changes"),
}
"""Metrics that are shown at first, with their headings and meanings; others can be switched on."""


@dataclass(frozen=True)
class Column:
    """A column of a board's table. `name` is a metric's or one of the columns that are not; `on`: shown at first."""

    name: str
    heading: str
    meaning: str
    on: bool = True


FACTS = (
    Column("group", "group", "the symmetry group that is built in"),
    Column("n", "n", "seeds, of those that the protocol asks for where some are missing"),
    Column("parameters", "parameters", "trainable parameters"),
    Column("macs", "MACs", "multiply-accumulates of one image", on=False),
    Column("speed", "images/s", "test images a second, on the machine beside it", on=False),
    Column("device", "on", "the machines that made the records", on=False),
)
"""The columns of a table beside rank, entry, symmetry and metrics."""


@dataclass(frozen=True)
class RowView:
    """A row with its name in permalinks, its symmetry in the words of the filter, and its machines."""

    row: Row
    name: str
    symmetry: str
    devices: tuple[str, ...]


@dataclass(frozen=True)
class BoardView:
    """A benchmark's part of the page. `charts` are of accuracy over angle and of error over depth.

    `folds` is there under cross-testing, `weights_only` where networks came trained.
    """

    board: Board
    card: BenchmarkCard
    dataset: DatasetCard
    metrics: tuple[Column, ...]
    rows: tuple[RowView, ...]
    protocol: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    charts: tuple[list[Chart], ...]
    pairs_caption: str
    folds: Table | None
    weights_only: Table | None


def board(found: Board, card: BenchmarkCard, registry: Registry, charts: Sequence[list[Chart]]) -> BoardView:
    """A board with all that stands around it."""
    dataset = registry.dataset(card.dataset)
    return BoardView(
        board=found,
        card=card,
        dataset=dataset,
        metrics=tuple(_metrics(found)),
        rows=tuple(
            RowView(
                row,
                row_name(found, row),
                symmetry(row, card),
                tuple(dict.fromkeys(f"{at.machine.device}: {at.machine.name}" for at in row.speeds)),
            )
            for row in found.rows
        ),
        protocol=tuple(protocol(card, dataset)),
        notes=tuple(notes(found)),
        charts=tuple(charts),
        pairs_caption=pairs_caption(found),
        folds=folds_table(found) if any(row.folds for row in found.rows) else None,
        weights_only=weights_only_table(found.weights_only) if found.weights_only else None,
    )


@dataclass(frozen=True)
class Group:
    """The benchmarks of one purpose: those with records, and the cards of those that have none yet."""

    title: str
    boards: tuple[BoardView, ...]
    empty: tuple[BenchmarkCard, ...]


def groups(boards: Sequence[BoardView], registry: Registry) -> list[Group]:
    """All registered benchmarks by what they are for; superseded ones with records stand where the current one does."""
    shown = {view.board.benchmark for view in boards}

    def purpose_of(card: BenchmarkCard) -> str | None:
        return registry.benchmarks.get(card.name, card).purpose

    made = [
        Group(
            f"{words[0].upper()}{words[1:]}",
            tuple(view for view in boards if purpose_of(view.card) == purpose),
            tuple(
                card for card in registry.benchmarks.values() if card.purpose == purpose and card.full_name not in shown
            ),
        )
        for purpose, words in PURPOSES.items()
    ]
    return [group for group in made if group.boards or group.empty]


def symmetry(row: Row, card: BenchmarkCard) -> str:
    """`exact`, `approximate`, `learnt`, `augmented`, `none` or `unknown`.

    *Learnt*: its card says that the network learns how symmetric it is. *Augmented*: no symmetry is built in, but
    training showed every element of the group that the benchmark tests.
    """
    if row.learnt:
        return "learnt"
    everything = set(ELEMENTS[card.evaluation.group]) <= set(card.evaluation.seen)
    return "augmented" if row.equivariance == "none" and everything else row.equivariance


def _metrics(found: Board) -> Iterable[Column]:
    names = dict.fromkeys([*SHOWN, *(name for row in found.rows for name in row.metrics)])
    for name in names:
        if any(row.metrics.get(name) for row in found.rows):
            heading, meaning = SHOWN.get(name, (name.removeprefix("accuracy."), f"accuracy under {name[9:]}"))
            yield Column(name, heading, meaning, on=name in SHOWN or name == found.rank_by)


def columns(boards: Sequence[BoardView]) -> tuple[Column, ...]:
    """All columns that any table has and that can be switched, each once."""
    every = {column.name: column for view in boards for column in view.metrics}
    return (*every.values(), *FACTS)


def choices(boards: Sequence[BoardView]) -> dict[str, list[str]]:
    """What can be chosen in each filter: what the rows hold."""
    rows = [(view, row) for view in boards for row in view.rows]
    order = ("exact", "approximate", "learnt", "augmented", "none", "unknown")
    found = {row.symmetry for _, row in rows}
    return {
        "benchmark": [view.board.benchmark for view in boards],
        "symmetry": [name for name in order if name in found],
        "group": sorted({row.row.group for _, row in rows}),
        "device": sorted({device for _, row in rows for device in row.devices}),
    }


def gaps(groups: Sequence[Group]) -> list[tuple[BoardView, Pair]]:
    """The pairs of exact and approximate networks that have been run, for the table at the top, in the page's order."""
    return [(view, pair) for group in groups for view in group.boards for pair in view.board.pairs if pair.contrasts]


@dataclass(frozen=True)
class Audited:
    """What records of a network say of its equivariance at one size."""

    size: int
    equivariance: str
    certificate: str
    grid: str
    first_break: str | None
    error: float | None
    records: int


@dataclass(frozen=True)
class NetworkView:
    """A model's card with the audits in its records and where it was run."""

    card: ModelCard
    audits: tuple[Audited, ...]
    runs: tuple[str, ...] = ()


def networks(registry: Registry, boards: Sequence[Board], kept: Sequence[StoredRecord]) -> list[NetworkView]:
    """Every registered network, those with records first."""
    audits: dict[tuple[str, int], list[StoredRecord]] = defaultdict(list)
    for one in kept:
        if one.excluded is None and one.record.equivariance.exactness_after is not None:
            audits[split_entry(one.record.entry)].append(one)
    runs: dict[str, list[str]] = defaultdict(list)
    for found in boards:
        for row in found.rows:
            if row.seeds:
                runs[split_entry(row.entry)[0]].append(found.benchmark)
    made = [
        NetworkView(
            card,
            tuple(_audited(size, audits[slug, size]) for slug, size in sorted(audits) if slug == card.name),
            tuple(dict.fromkeys(runs[card.name])),
        )
        for card in registry.models.values()
    ]
    return sorted(made, key=lambda network: not network.runs)


def _audited(size: int, kept: Sequence[StoredRecord]) -> Audited:
    found = [one.record.equivariance.exactness_after for one in kept]
    first = next(exactness for exactness in found if exactness is not None)
    errors = [exactness.error for exactness in found if exactness is not None and exactness.error is not None]
    return Audited(
        size=size,
        equivariance=kept[0].run.equivariance,
        certificate=first.certificate,
        grid=first.grid,
        first_break=first.first_break,
        error=max(errors, default=None),
        records=len(kept),
    )
