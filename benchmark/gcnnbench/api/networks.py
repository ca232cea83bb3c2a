"""Builds, trains and loads the networks of the registry."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from gcnnbench.api.folders import Folder, data_folder, results_folder
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.registry import Registry
from gcnnbench.data.copies import lacks_digests, on_copies, settle
from gcnnbench.data.registered import load_dataset
from gcnnbench.data.streams import derive
from gcnnbench.device import choose, seeded
from gcnnbench.errors import UserError, told
from gcnnbench.plain_files import read_plain
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import run_to_end
from gcnnbench.runs.files import WEIGHTS_BYTES, weights_path
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.plan import plan, status
from gcnnbench.runs.record import Record
from gcnnbench.runs.store import Store
from gcnnbench.scoring.weights import load_weights


class NotKeptError(UserError):
    """A cell has ended, but its record could not be kept; `finished` has it, with the contents of its files."""

    def __init__(self, reason: str, finished: Finished) -> None:
        super().__init__(reason)
        self.finished = finished


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
        UserError: there is no such entry or benchmark, the network cannot be built, or a superseded benchmark is of a
            version of it that began with other weights.
    """
    cards = cards or registry()
    card = cards.benchmark(benchmark)
    model = cards.model(entry)
    if card.version_of(model) != model.model_version:
        then = f"version {card.version_of(model)} of {model.name}, which this suite no longer initialises"
        raise UserError(f"{card.full_name} is of {then}; its trained networks are loaded by load_model")
    return _initialised(entry, card, seed, cards)


def _initialised(entry: str, card: BenchmarkCard, seed: int, cards: Registry) -> nn.Module:
    with seeded(torch.device("cpu"), derive(card.name, seed, "initialisation")):
        return cards.build(entry, card)


def load_model(
    entry: str, benchmark: str, seed: int, *, results: Folder | None = None, cards: Registry | None = None
) -> nn.Module:
    """The trained network of a cell, from the weights that its record names; in evaluation mode.

    Args:
        entry: `slug@size`.
        benchmark: its name, or `name@version`.
        seed: the cell's seed.
        results: the results directory, the checkout's `results/` where none is given.
        cards: the registry, read anew where none is given.

    Raises:
        UserError: there is no record, its weights are not here, or they are not those that it names.
    """
    cards, store = cards or registry(), Store(results_folder(results))
    card = cards.benchmark(benchmark)
    cell = Cell(cards.at(card), card.name, entry, seed, "cpu", 1, data_folder(None))
    record = store.record(cell)
    if record is None:
        how = card.how_to_run(f" --entry {entry}")
        raise UserError(f"{cell.name} has no record in {store.results}: {how}")
    path = weights_path(store.record_path(cell), store.results, record)
    if not path.exists():
        raise UserError(f"{path}: the weights of {cell.name} are kept outside git and are not here")
    content = read_plain(path, WEIGHTS_BYTES)
    if hashlib.sha256(content).hexdigest() != record.weights.sha256:
        raise UserError(f"{path}: not the weights that the record of {cell.name} names")
    network = _initialised(entry, card, seed, cards)
    load_weights(network, safetensors.torch.load(content))
    network.eval()
    return network


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

    Of a cell that has its record there a further one is kept, `seed-0.repeat-1.json`; with `limit` it replaces the last
    one. What is no record goes aside as `seed-0.stale-unreadable.json`.

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
        UserError: there is no such cell, the benchmark is superseded, its data is missing, another process runs it, or
            nothing can be written to `results`.
        NotKeptError: the disk refused the record when it was made; the error has it.
        DivergedError: the loss is not finite.
        UnusableError: the predictions cannot be scored.
    """
    cards, folder = cards or registry(), data_folder(data)
    name = cards.benchmark(benchmark).dataset
    if lacks_digests(cards.dataset(name)):
        load_dataset(cards, name, folder)
        cards = on_copies(cards, folder) if results is None else settle(cards, name, folder, Path(results))
    (cell,) = plan(
        cards,
        [benchmark],
        entries=[entry],
        seeds=[seed],
        device=choose(device).type,
        threads=threads or torch.get_num_threads(),
        data=folder,
        limit=limit,
    )
    if results is None:
        return run_to_end(cell).record
    store = Store(Path(results))
    try:
        store.require_writable(*store.places(cell))
    except OSError as error:
        raise UserError(told(error)) from error
    with store.claim(cell) as free:
        if not free:
            raise UserError(f"{cell.name} is running in another process on {store.results}")
        repeat = status(store, cell) == "done"  # asked before training, which nothing that stands there may cost
        finished = run_to_end(cell)
        try:
            store.add(cell, finished, repeat=repeat)
        except OSError as error:
            raise NotKeptError(told(error), finished) from error
    return finished.record
