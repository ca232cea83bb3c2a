"""The Python interface: the command line's verbs as functions, for notebooks (`from gcnnbench import api`).

    cards = api.registry()
    network = api.build("p4cnn@28", "mnist-upright", seed=0)
    record = api.run_cell("quickstart", "p4cnn@12", seed=0)
    trained = api.load_model("p4cnn@12", "quickstart", seed=0, results="my-results")
    boards = api.leaderboard("quickstart", results="my-results")
    found = api.audit(network, sizes=(27, 28, 29))
    lineage = api.explain("mnist-upright@1", "p4cnn@28", "upright")

What a verb prints, the function of its name returns as plain data; group layers are in `gcnnbench.nn`.
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
from gcnnbench.claims.evidence import gather
from gcnnbench.claims.judging import judge_claims
from gcnnbench.claims.reading import read_claims
from gcnnbench.claims.rows import ClaimRow
from gcnnbench.cli.options import default_data, default_results
from gcnnbench.compare import directories, entries
from gcnnbench.data.copies import lacks_digests, on_copies, settle
from gcnnbench.data.registered import load_dataset
from gcnnbench.data.streams import derive
from gcnnbench.device import choose, seeded
from gcnnbench.equivariance.audit import Audit, audit
from gcnnbench.errors import UserError
from gcnnbench.explain import lineage
from gcnnbench.explain.explanation import Explanation
from gcnnbench.figures import gallery
from gcnnbench.leaderboard import tables
from gcnnbench.leaderboard.board import Board
from gcnnbench.plain_files import read_plain
from gcnnbench.record_checks import recomputing
from gcnnbench.record_checks.rows import RecordRow
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import run_to_end
from gcnnbench.runs.files import WEIGHTS_BYTES, weights_path
from gcnnbench.runs.record import Record
from gcnnbench.runs.store import Store
from gcnnbench.scoring.weights import load_weights
from gcnnbench.submissions import checking, verifying
from gcnnbench.submissions.folder import Submission
from gcnnbench.submissions.verifying import BundleReport, Depth

__all__ = [
    "Audit",
    "audit",
    "build",
    "check_submission",
    "compare",
    "compare_directories",
    "explain",
    "figure",
    "leaderboard",
    "load_model",
    "registry",
    "run_cell",
    "verify_bundle",
    "verify_claims",
    "verify_records",
]

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
    cards, store = cards or registry(), Store(_results(results))
    cell = Cell(cards, cards.benchmark(benchmark).name, entry, seed, "cpu", 1, default_data())
    record = store.record(cell)
    if record is None:
        raise UserError(f"{cell.name} has no record in {store.results}: gcnnbench run {benchmark} --entry {entry}")
    path = weights_path(store.record_path(cell), store.results, record)
    if not path.exists():
        raise UserError(f"{path}: the weights of {cell.name} are kept outside git and are not here")
    content = read_plain(path, WEIGHTS_BYTES)
    if hashlib.sha256(content).hexdigest() != record.weights.sha256:
        raise UserError(f"{path}: not the weights that the record of {cell.name} names")
    network = build(entry, benchmark, seed=seed, cards=cards)
    load_weights(network, safetensors.torch.load(content))
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
    cards, folder = cards or registry(), _data(data)
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
    finished = run_to_end(cell)
    if results is not None:
        Store(Path(results)).add(cell, finished)
    return finished.record


def leaderboard(*benchmarks: str, results: Folder | None = None, cards: Registry | None = None) -> list[Board]:
    """The leaderboard as data, one board a benchmark: rows with metrics, pairs, and what is missing with its reason.

    `gcnnbench.leaderboard.tables.render(boards, "md")` prints it, `gcnnbench.leaderboard.export.board_data(board)`
    gives plain dictionaries, as for `pandas.DataFrame`.

    Args:
        *benchmarks: names; all that have a record where none is given.
        results: the results directory, the checkout's `results/` where none is given.
        cards: the registry, read anew where none is given.

    Raises:
        UserError: there is no such benchmark, or no record of any.
    """
    return tables.leaderboard(cards or registry(), _results(results), benchmarks)[0]


def explain(
    benchmark: str,
    entry: str,
    metric: str | None = None,
    *,
    seed: int | None = None,
    results: Folder | None = None,
    cards: Registry | None = None,
) -> Explanation:
    """From one number of a leaderboard to its records, counts, protocol, data, commit, machine and claims.

    Args:
        benchmark: `name` or `name@version`.
        entry: `slug@size`.
        metric: as in the JSON form of the leaderboard, or without `accuracy.`; the one that is ranked by where None.
        seed: the records of this seed alone.
        results: the results directory, the checkout's `results/` where none is given.
        cards: the registry, read anew where none is given.

    Raises:
        UserError: there is no such benchmark, entry, metric or record.
    """
    return lineage.explain(cards or registry(), _results(results), benchmark, entry, metric, seed)


def compare(
    first: str, second: str, *, results: Folder | None = None, cards: Registry | None = None
) -> entries.Comparison:
    """Two entries of one benchmark, `BENCHMARK/SLUG@SIZE` each: differences with intervals, and image by image.

    Raises:
        UserError: a name is wrong, the benchmarks differ, or one of the entries has no official record.
    """
    return entries.compare(cards or registry(), _results(results), first, second)


def compare_directories(first: Folder, second: Folder, *benchmarks: str) -> directories.SetComparison:
    """Two results directories, cell by cell: equal to the bit, other numbers, or only in one of them.

    Raises:
        UserError: a directory is not there, or they share no cell.
    """
    return directories.compare_sets(Path(first), Path(second), benchmarks)


def figure(
    name: str,
    benchmark: str | None = None,
    *,
    folder: Folder,
    family: str | None = None,
    results: Folder | None = None,
    cards: Registry | None = None,
) -> gallery.Drawn:
    """Draw a figure as SVG and PNG: `curve`, `relaxation`, `degree` or `pairs`.

    Args:
        name: of the figure.
        benchmark: whose; `pairs` can do without.
        folder: where the files are written.
        family: whose `degree`.
        results: the results directory, the checkout's `results/` where none is given.
        cards: the registry, read anew where none is given.

    Raises:
        UserError: there is no such figure or benchmark, or nothing to draw.
    """
    return gallery.draw(cards or registry(), _results(results), name, benchmark, Path(folder), family)


def verify_claims(
    benchmark: str | None = None, *, results: Folder | None = None, cards: Registry | None = None
) -> list[ClaimRow]:
    """The verdict on every published claim, or on those about one benchmark.

    Raises:
        UserError: there is no such benchmark.
    """
    cards = cards or registry()
    card = None if benchmark is None else cards.benchmark(benchmark)
    cards = cards if card is None else cards.at(card)
    rows = judge_claims(cards, read_claims(cards), gather(cards, _results(results)))
    return [row for row in rows if card is None or row.benchmark == card.name]


def verify_records(*, results: Folder | None = None, cards: Registry | None = None) -> list[RecordRow]:
    """Every record recomputed from its own counts; scoring and training again is left to `gcnnbench verify records`."""
    return recomputing.verify_records(cards or registry(), _results(results))


def check_submission(path: Folder, *, data: Folder | None = None, trust: bool = False) -> Submission:
    """Look at a submission's folder, its card and its networks; nothing is trained.

    Args:
        path: the folder.
        data: the data directory, the platform's cache folder where none is given.
        trust: whether its code may run where there is no isolation.

    Raises:
        UserError: there is no folder, a data set is not here, or there is no isolation and no trust.
        Refused: something is wrong with it; everything that was found.
    """
    return checking.check_folder(Path(path), _data(data), trust=trust)


def verify_bundle(
    path: Folder, *, data: Folder | None = None, depth: Depth = "rescore", retrain: int = 0, trust: bool = False
) -> BundleReport:
    """Verify a bundle of records that somebody submits.

    Args:
        path: the bundle.
        data: the data directory, the platform's cache folder where none is given.
        depth: how far it is checked.
        retrain: how many cells are trained again; the verifier draws them.
        trust: whether its code may run where there is no isolation.

    Raises:
        UserError: there is no bundle, a data set is not here, or there is no isolation and no trust.
        Refused: something is wrong; everything that was found.
    """
    return verifying.verify_bundle(Path(path), _data(data), depth=depth, retrain=retrain, trust=trust)


def _results(folder: Folder | None) -> Path:
    return Path(folder) if folder is not None else default_results()


def _data(folder: Folder | None) -> Path:
    return Path(folder) if folder is not None else default_data()
