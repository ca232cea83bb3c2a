"""What engines add to a cell over the processes of this machine, and whether a thousand short cells scale.

Training sleeps, so that other work on the machine has little to say, and engines take turns in rounds, so that it
meets all of them alike. A cell's time on an engine is that between the ends of two cells on one of its workers, after
each worker's first: start-up is told apart. The short cells are turns that only sleep and end with a record, so that
what is timed with them is how `hand_out` claims, hands out and writes.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

from gcnnbench.formatting import how_many
from gcnnbench.perf.bench import Bench
from gcnnbench.perf.report import Comparison, compared
from gcnnbench.perf.sleepers import SleepingEngine, sleeping_cells
from gcnnbench.perf.timing import Timing
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.engine import Engine, hand_out
from gcnnbench.runs.events import Event, Report
from gcnnbench.runs.executors import ExecutorEngine
from gcnnbench.runs.local import execute
from gcnnbench.runs.ray_engine import RayEngine
from gcnnbench.runs.store import Store

WORKERS = 2
SECONDS = 10.0
"""How long a cell sleeps whose overhead is measured."""
ROUNDS = 3
"""How often each engine is started; each worker then has a first cell and one after it."""
SHORT_CELLS, SLOTS = 1000, os.cpu_count() or 1
LOCAL = "local processes"
ENGINES = {
    "process pool": ("processes", "torch"),
    "executorlib": ("executorlib", "executorlib"),
    "Dask": ("dask", "distributed"),
}
RAY = "Ray"
HANDED, ALONE = "handed out and kept", "sleep alone"
OVERHEAD = f"a cell that sleeps {SECONDS:g} s, {WORKERS} workers"
SCHEDULING = f"{SHORT_CELLS:,} turns that sleep a second, {SLOTS} at a time"

Run = Callable[[Sequence[Cell], Store, Report], None]


def engines(_bench: Bench) -> Iterator[Comparison]:
    """Engines against local processes, in turn, and a thousand turns against the time they sleep."""
    runs: dict[str, Run] = {}
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        cells = sleeping_cells(Path(folder, "long"), SECONDS, 2 * WORKERS)
        for name, package, run in candidates():
            if find_spec(package) is None:
                missing[name] = f"{package} is not installed"
            else:
                runs[name] = run
        begun, each = in_rounds(runs, cells)
        yield compared("engines", OVERHEAD, each, reference=LOCAL, missing=missing)
        yield compared("engines", "until each worker has ended its first", begun, reference=LOCAL, missing=missing)
        yield scheduling(Path(folder, "short"))


def candidates() -> Iterator[tuple[str, str, Run]]:
    """The engines by name, the package that each needs, and what runs cells on it."""
    yield LOCAL, "torch", local
    for name, (factory, package) in ENGINES.items():
        yield name, package, on(partial(ExecutorEngine, f"{__name__}:{factory}", WORKERS))
    yield RAY, "ray", on(RayEngine)


def local(cells: Sequence[Cell], store: Store, report: Report) -> None:
    """Run cells in processes of this machine."""
    execute(cells, store, report, jobs=WORKERS)


def on(make: Callable[[], Engine]) -> Run:
    """What runs cells on an engine, which is made anew for them."""
    return lambda cells, store, report: _ignored(hand_out(cells, store, report, make(), jobs=WORKERS, seconds=3600.0))


def in_rounds(runs: Mapping[str, Run], cells: Sequence[Cell]) -> tuple[dict[str, Timing], dict[str, Timing]]:
    """The two timings of `timed` by engine; every round starts with another engine.

    Args:
        runs: what runs cells, by engine.
        cells: what each engine runs in each round.
    """
    begun: dict[str, tuple[float, ...]] = dict.fromkeys(runs, ())
    each = dict(begun)
    order = list(runs)
    for _ in range(ROUNDS):
        for name in order:
            first, later = timed(runs[name], cells)
            begun[name] += first.seconds
            each[name] += later.seconds
        order.append(order.pop(0))
    return {name: Timing(begun[name]) for name in runs}, {name: Timing(each[name]) for name in runs}


def timed(run: Run, cells: Sequence[Cell]) -> tuple[Timing, Timing]:
    """Seconds until each worker has ended its first cell, and those of every later one.

    Raises:
        RuntimeError: a cell did not finish.
    """
    ends: list[float] = []

    def report(event: Event) -> None:
        if event.kind in ("failed", "stopped"):
            raise RuntimeError(f"{event.cell} {event.kind}: {event.text}")
        if event.kind == "finished":
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as results:
        begin = time.perf_counter()
        run(cells, Store(Path(results)), report)
    if len(ends) != len(cells):
        raise RuntimeError(f"{len(ends)} of {how_many(len(cells), 'cell')} finished")
    later = tuple(end - before for before, end in zip(ends, ends[WORKERS:], strict=False))
    return Timing((ends[WORKERS - 1] - begin,)), Timing(later)


def scheduling(folder: Path) -> Comparison:
    """Turns of a second handed out, each with its record written, against the time that they sleep in any case."""
    cells = sleeping_cells(folder, 0.0, SHORT_CELLS)
    engine = SleepingEngine(SLOTS, 1.0, cells[0])
    with tempfile.TemporaryDirectory() as results:
        begin = time.perf_counter()
        ended = hand_out(cells, Store(Path(results)), lambda _: None, engine)
        taken = time.perf_counter() - begin
    if len(finished := [event for event in ended if event.kind == "finished"]) != len(cells):
        raise RuntimeError(f"{len(finished)} of {how_many(len(cells), 'cell')} finished")
    timings = {HANDED: Timing((taken,)), ALONE: Timing((len(cells) / SLOTS,))}
    return compared("engines", SCHEDULING, timings, reference=ALONE)


def processes() -> Executor:
    """A process pool of the standard library; a forked child would inherit torch's threads half-alive."""
    return ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn"))


def executorlib() -> Executor:
    """Two processes of executorlib, which stay from turn to turn."""
    made: Executor = import_module("executorlib").SingleNodeExecutor(max_workers=WORKERS, block_allocation=True)
    return made


def dask() -> Executor:
    """A Dask cluster of this machine."""
    distributed = import_module("distributed")
    cluster = distributed.LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None)
    made: Executor = distributed.Client(cluster).get_executor()
    return made


def _ignored(_events: object) -> None:
    """What ended is counted by the report."""
