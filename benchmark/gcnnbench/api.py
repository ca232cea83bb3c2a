"""The verbs for notebooks: `from gcnnbench import api`.

    cards = api.registry()
    network = api.build("p4cnn@28", "mnist-upright", seed=0)
    record = api.run_cell("quickstart", "p4cnn@12", seed=0)
    trained = api.load_model("p4cnn@12", "quickstart", seed=0, results="my-results")
    boards = api.leaderboard("quickstart", results="my-results")

Audits of any network are in `gcnnbench.equivariance.audit`, group layers in `gcnnbench.nn`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from gcnnbench.cards.registry import Registry
from gcnnbench.cli.options import default_data, default_results
from gcnnbench.data.copies import lacks_digests, on_copies, settle
from gcnnbench.data.registered import load_dataset
from gcnnbench.data.streams import derive
from gcnnbench.device import choose, seeded
from gcnnbench.errors import UserError
from gcnnbench.leaderboard import tables
from gcnnbench.leaderboard.board import Board
from gcnnbench.runs import cell_run
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.files import weights_path
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.record import Record
from gcnnbench.runs.store import Store

Folder = str | PathLike[str]


def registry(include: Sequence[Folder] = ()) -> Registry:
    """All cards by name: `.models`, `.datasets`, `.benchmarks`; and those at the paths given.

    Raises:
        CardsError: a card is wrong; all errors of all cards at once.
    """
    return Registry.load([Path(path) for path in include])


def build(entry: str, benchmark: str, *, seed: int = 0, cards: Registry | None = None) -> nn.Module:
    """The network of an entry as a run of this benchmark and seed initialises it; torch's generator is left alone.

    Args:
        entry: `slug@size`.
        benchmark: says the channels and classes, and names the random stream.
        seed: the cell's seed.
        cards: the registry, read anew where none is given.

    Returns:
        A network from images (batch, channels, size, size) to logits (batch, classes).

    Raises:
        UserError: there is no such entry or benchmark, or the network cannot be built.
    """
    cards = cards or registry()
    card = cards.benchmark(benchmark)
    with seeded(torch.device("cpu"), derive(card.name, seed, "initialisation")):
        return cards.build(entry, card)


def load_model(
    entry: str, benchmark: str, seed: int, *, results: Folder | None = None, cards: Registry | None = None
) -> nn.Module:
    """The trained network of a cell, from the weights that its record names; in evaluation mode.

    Args:
        entry: `slug@size`.
        benchmark: its name.
        seed: the cell's seed.
        results: the results directory, the checkout's `results/` where none is given.
        cards: the registry, read anew where none is given.

    Raises:
        UserError: there is no record, its weights are not here, or they are not those that it names.
    """
    cards, store = cards or registry(), Store(Path(results) if results is not None else default_results())
    cell = Cell(cards, cards.benchmark(benchmark).name, entry, seed, "cpu", 1, default_data())
    record = store.record(cell)
    if record is None:
        raise UserError(f"{cell.name} has no record in {store.results}: gcnnbench run {benchmark} --entry {entry}")
    path = weights_path(store.record_path(cell), store.results, record)
    if not path.exists():
        raise UserError(f"{path}: the weights of {cell.name} are kept outside git and are not here")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != record.weights.sha256:
        raise UserError(f"{path}: not the weights that the record of {cell.name} names")
    network = build(entry, benchmark, seed=seed, cards=cards)
    cell_run.load_weights(network, safetensors.torch.load(content))
    return network.eval()


def run_cell(
    benchmark: str,
    entry: str,
    seed: int = 0,
    *,
    device: str = "auto",
    threads: int | None = None,
    data: Folder | None = None,
    results: Folder | None = None,
    limit: int | None = None,
    cards: Registry | None = None,
) -> Record:
    """Train and score one cell here and now; its record and weights are kept only where `results` is given.

    Args:
        benchmark: its name.
        entry: `slug@size`.
        seed: the cell's seed.
        device: `auto`, `cpu`, `cuda` or `mps`.
        threads: CPU threads, torch's setting where None; the bits of the numbers depend on them.
        data: the data directory, the platform's cache folder where none is given.
        results: a results directory to keep the record in.
        limit: at most so many images of each share; the record is then unofficial.
        cards: the registry, read anew where none is given.

    Raises:
        UserError: there is no such cell, or its data is missing.
        DivergedError: the loss is not finite.
        UnusableError: the predictions cannot be scored.
    """
    cards, folder = cards or registry(), Path(data) if data is not None else default_data()
    name = cards.benchmark(benchmark).dataset
    if lacks_digests(cards.dataset(name)):
        load_dataset(cards, name, folder)
        cards = on_copies(cards, folder) if results is None else settle(cards, name, folder, Path(results))
    cell = Cell(
        cards,
        cards.benchmark(benchmark).name,
        entry,
        seed,
        choose(device).type,
        threads or torch.get_num_threads(),
        folder,
        limit,
    )
    *_, last = cell_run.run_cell(cell)
    if not isinstance(last, Finished):
        raise TypeError(f"a cell ends with its record, not with {type(last).__name__}")
    if results is not None:
        Store(Path(results)).add(cell, last)
    return last.record


def leaderboard(*benchmarks: str, results: Folder | None = None, cards: Registry | None = None) -> list[Board]:
    """The leaderboard as data, one board a benchmark: rows with metrics, pairs, and what is missing with its reason.

    `gcnnbench.leaderboard.tables.render(boards, "md")` prints it, `gcnnbench.leaderboard.export.board_data(board)`
    gives plain dictionaries, as for `pandas.DataFrame`.

    Args:
        benchmarks: names; all that have a record where none is given.
        results: the results directory, the checkout's `results/` where none is given.
        cards: the registry, read anew where none is given.

    Raises:
        UserError: there is no such benchmark, or no record of any.
    """
    folder = Path(results) if results is not None else default_results()
    return tables.leaderboard(cards or registry(), folder, benchmarks)[0]
