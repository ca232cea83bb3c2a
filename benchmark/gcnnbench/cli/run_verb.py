"""`run`: trains and scores the cells that have no record yet."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gcnnbench.cli.advice import advised
from gcnnbench.cli.completion import benchmark_names
from gcnnbench.cli.engines import (
    LOCAL,
    Address,
    Cores,
    Gpus,
    NodeData,
    On,
    StateSeconds,
    check_engine,
    engine_for,
    reserved,
)
from gcnnbench.cli.exit_codes import SOME_CELLS_FAILED
from gcnnbench.cli.options import Data, DeviceName, Entries, Include, Results, Seeds
from gcnnbench.cli.output import tell
from gcnnbench.errors import UserError
from gcnnbench.escaping import terminal
from gcnnbench.formatting import how_many

if TYPE_CHECKING:
    from gcnnbench.runs.store import Store


def run(
    benchmarks: Annotated[
        list[str], typer.Argument(metavar="BENCHMARK", help="Benchmarks by name.", autocompletion=benchmark_names)
    ],
    *,
    entries: Entries,
    seeds: Seeds = None,
    device: Annotated[DeviceName, typer.Option(help="Where to train and score.")] = DeviceName.auto,
    threads: Annotated[
        int, typer.Option(metavar="N", min=1, help="CPU threads of a cell; the bits of its numbers depend on them.")
    ] = 1,
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Cells at the same time.",
            show_default="cores / threads; 1 on a GPU; what an engine has room for",
        ),
    ] = None,
    parallel: Annotated[
        str,
        typer.Option(
            metavar="N|auto",
            help="Seeds of an entry that are trained at once: as one computation, or side by side with --cuda-graphs; "
            "auto takes what fits in memory. Pays on a GPU; on a CPU seeds are as fast one by one.",
        ),
    ] = "1",
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="At most so many images of each share: a try-out, never a row."),
    ] = None,
    cuda_graphs: Annotated[
        bool,
        typer.Option(
            "--cuda-graphs",
            help="Record training steps as CUDA graphs and replay them, for networks of this suite's layers; several "
            "seeds at once are trained side by side then. "
            "Not yet seen on a GPU, so records name it.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be run, and what it would take.")
    ] = False,
    on: On = LOCAL,
    address: Address = None,
    cores: Cores = None,
    gpus: Gpus = None,
    node_data: NodeData = None,
    state_seconds: StateSeconds = None,
    data: Data,
    results: Results,
    include: Include,
) -> None:
    """Train and score every cell that has no record yet. Interrupted, the same command goes on where it was.

    Ends with 3 if a cell failed; its reason is kept and shown, the other cells are run all the same, and it is tried
    again when the command is repeated. --dry-run ends with 3 if a network could not be run. Two processes on one
    results directory share the cells between them.
    """
    from gcnnbench.cards.registry import Registry

    registry = Registry.load(include)
    registry.chosen(benchmarks, entries)

    from gcnnbench.cli.forecast import forecast_text
    from gcnnbench.cli.progress import RunReport
    from gcnnbench.data.copies import on_copies
    from gcnnbench.runs.plan import on_read_copies, other_copies, plan, seeds_from, unfinished
    from gcnnbench.runs.store import Store

    check_engine(on)
    together = _at_once(parallel)
    if on != LOCAL and together == "auto":
        raise UserError(f"--parallel auto measures the memory of this machine; with --on {on} write a number")
    store, place = Store(results), _place(device, on, gpus)
    cores, gpus = reserved(cores, gpus, device=place, threads=threads)
    if cuda_graphs and place != "cuda":
        raise UserError(f"--cuda-graphs says nothing on {place}; it is for --device cuda")
    if cuda_graphs and together == "auto":
        raise UserError(
            "--parallel auto measures seeds that are one computation, and with --cuda-graphs they are trained side by "
            "side: write a number"
        )
    cells = plan(
        on_copies(registry, results),
        benchmarks,
        entries=entries,
        seeds=None if seeds is None else seeds_from(seeds),
        device=place,
        threads=threads,
        data=data,
        limit=limit,
        cuda_graphs=cuda_graphs,
    )
    todo = unfinished(store, cells)
    at_once = min(jobs or ((os.cpu_count() or 1) // threads if place == "cpu" else 1) or 1, max(1, len(todo)))
    if dry_run:
        elsewhere = on != LOCAL
        shown = jobs if elsewhere else at_once
        text, can_be_run = forecast_text(todo, len(cells), shown, parallel=together, elsewhere=elsewhere)
        tell(text)
        if not can_be_run:
            raise typer.Exit(SOME_CELLS_FAILED)
        return
    if node_data is None:  # else this machine needs no data, where cards have the digests
        todo = unfinished(store, on_read_copies(registry, todo, results))
        read = {cell.card.dataset for cell in todo}
        for told in other_copies(registry, [cell for cell in cells if cell.card.dataset not in read], results):
            typer.echo(advised(terminal(f"the records are as they were, but {told}")), err=True)
    with _kept_when_interrupted(store), RunReport(len(todo)) as report:
        if on == LOCAL:
            from gcnnbench.runs.local import execute

            ended = execute(todo, store, report, at_once, together)
        else:
            from gcnnbench.runs.engine import hand_out

            engine = engine_for(on, jobs=jobs, address=address, cores=cores, gpus=gpus, node_data=node_data)
            ended = hand_out(
                todo,
                store,
                report,
                engine,
                parallel=int(together),
                jobs=jobs,
                seconds=state_seconds,
                data=node_data,
            )
    failed, stopped = ([event for event in ended if event.kind == kind] for kind in ("failed", "stopped"))
    done = len(ended) - len(failed) - len(stopped)
    also = f", {len(stopped)} stopped by the machine and gone on with by the same command" if stopped else ""
    before = how_many(len(cells) - len(todo), "was", "were") + " done before"
    typer.echo(f"{how_many(done, 'cell')} run, {before}, {len(failed)} failed{also}; records in {store.results}")
    for event in [*failed, *stopped]:
        typer.echo(advised(terminal(f"{event.cell}: {event.text}")))
    if failed or stopped:
        raise typer.Exit(SOME_CELLS_FAILED)


@contextmanager
def _kept_when_interrupted(store: Store) -> Iterator[None]:
    """Say of an interrupted run what is kept of it."""
    try:
        yield
    except KeyboardInterrupt:
        kept = "finished cells and the last states of the others are kept"
        typer.echo(f"{kept} in {store.results}; the same command goes on", err=True)
        raise


def _place(device: DeviceName, on: str, gpus: float | None) -> str:
    """The kind of device that cells run on: of this machine, or of an engine's, which may have what is missing here."""
    from gcnnbench.device import choose

    if on == LOCAL:
        return choose(device.value).type
    if device is DeviceName.auto:
        return "cuda" if gpus else "cpu"
    return device.value


def _at_once(text: str) -> int | Literal["auto"]:
    """How many seeds at once an option asks for."""
    if text == "auto":
        return "auto"
    if re.fullmatch("[1-9][0-9]{0,3}", text):
        return int(text)
    raise UserError(f"--parallel {text}: write how many seeds are trained at once, as in 4, or auto")
