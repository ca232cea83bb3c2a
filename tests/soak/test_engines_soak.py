"""Quickstart on Ray with workers killed at random, on executorlib and on Dask: the records of this machine, to the bit.

Without `--soak` two cells of a second and one kill, as in the default tests; `tox run -e engines` runs all of it. What
is not installed is skipped, and an environment that should have it says so with `--engines-required`.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.errors import UserError
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.engine import Engine, hand_out
from gcnnbench.runs.events import Event
from gcnnbench.runs.executors import ExecutorEngine
from gcnnbench.runs.files import read_files
from gcnnbench.runs.local import execute
from gcnnbench.runs.plan import plan
from gcnnbench.runs.ray_engine import RayEngine
from gcnnbench.runs.record import Record
from gcnnbench.runs.store import Store
from gcnnbench.runs.turns import Turn

pytestmark = pytest.mark.filterwarnings("ignore")  # other people's schedulers warn of their own affairs
COMMANDS = 3
"""How often a command is given at most; ten kills stop two cells at most."""
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "executors.py"


@pytest.fixture(scope="module")
def cells(whole: bool, tiny_registry: Registry) -> list[Cell]:
    """All of quickstart, or two cells of seconds."""
    if whole:
        return plan(tiny_registry, ["quickstart"])
    return [Cell(tiny_registry, "tiny", "z2cnn@8", seed, "cpu", 1, Path("unused")) for seed in range(2)]


@pytest.fixture(scope="module")
def here(cells: list[Cell], tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], float]:
    """What this machine makes of the cells one after another, and the seconds that it takes."""
    store, start = Store(tmp_path_factory.mktemp("here")), time.monotonic()
    execute(cells, store, lambda _: None)
    return made(store.results), time.monotonic() - start


@pytest.fixture
def expected(here: tuple[dict[str, object], float]) -> dict[str, object]:
    """What this machine makes of the cells."""
    return here[0]


def made(results: Path) -> dict[str, object]:
    """Every record by its place, without its provenance, and without the seconds and bytes that it cost."""
    found: dict[str, object] = {}
    for file in read_files(results):
        assert isinstance(file.content, Record), f"{file.place}: {file.content}"
        record = file.content.model_dump(mode="json", exclude={"provenance", "checksum"})
        record["cost"] = {name: record["cost"][name] for name in ("parameters", "macs")}
        for epoch in record["training"]["history"]:
            del epoch["seconds"]
        found[str(file.place)] = record
    return found


def soak(
    engine: Callable[[], Engine],
    cells: list[Cell],
    expected: dict[str, object],
    results: Path,
    counted: Counter[str],
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Run the cells on an engine and hold all that it leaves against what is expected.

    A cell whose worker is killed five times in a row is stopped; the command is repeated then, as its user is told to.
    """
    ends: Counter[str] = Counter()
    lines: list[str] = []

    def report(event: Event) -> None:
        meanwhile()
        if event.kind in ("finished", "failed", "stopped"):
            ends[event.cell] += event.kind != "stopped"
            counted[f"cells {event.kind}"] += 1
        if "its worker was lost" in event.text:
            counted["turns lost"] += 1
        if event.kind != "advanced":
            lines.append(f"{event.kind} {event.cell} {event.text}")

    for _ in range(COMMANDS):
        ended = hand_out(cells, Store(results), report, engine(), jobs=2, seconds=2.0)
        if not any(event.kind == "stopped" for event in ended):
            break
        counted["commands repeated"] += 1
    counted["cells done twice"] += sum(times - 1 for times in ends.values())
    counted["cells lost"] += len(expected.keys() - made(results).keys())
    told = "\n".join(lines)
    assert counted["cells finished"] == len(cells), told
    assert counted["cells lost"] == counted["cells done twice"] == 0, told
    assert made(results) == expected, told
    counted["records the same to the bit"] += len(expected)


def needs(request: pytest.FixtureRequest, package: str) -> None:
    if find_spec(package) is None:
        if request.config.getoption("--engines-required"):
            pytest.fail(f"{package} is not installed")
        pytest.skip(f"{package} is not installed; tox -e engines has it")


@pytest.mark.parametrize(("package", "factory"), [("executorlib", "executorlib"), ("distributed", "dask")])
def test_an_executor_of_others_makes_the_same_records(
    request: pytest.FixtureRequest,
    package: str,
    factory: str,
    cells: list[Cell],
    expected: dict[str, object],
    tmp_path: Path,
    counted: Counter[str],
) -> None:
    needs(request, package)

    def engine() -> Engine:
        begun = ExecutorEngine(f"{EXAMPLES}:{factory}")
        assert begun.slots == 2
        return begun

    soak(engine, cells, expected, tmp_path / "there", counted)


class Killer(threading.Thread):
    """Kills nodes of a cluster and processes that take turns, at random, until it is told to stop.

    A node that is gone is replaced by a new one when the main thread calls `replace`; Ray starts none elsewhere.
    """

    def __init__(self, cluster: Any, pause: Callable[[], float], wanted: int, counted: Counter[str]) -> None:
        super().__init__(daemon=True)
        self.cluster, self.pause, self.wanted, self.counted = cluster, pause, wanted, counted
        self.draws, self.over = random.Random(20261127), threading.Event()

    def run(self) -> None:
        while self.counted["kills"] < self.wanted and not self.over.wait(self.pause()):
            at_work = {node: found for node in list(self.cluster.worker_nodes) if (found := self.taking_turns(node))}
            if not at_work:
                continue
            node = self.draws.choice(sorted(at_work, key=lambda node: str(node.unique_id)))
            if self.draws.random() < 0.3 and len(self.cluster.worker_nodes) == 2:
                self.cluster.remove_node(node, allow_graceful=False)
                self.counted["nodes killed"] += 1
            else:
                at_work[node][0].kill()
                self.counted["worker processes killed"] += 1
            self.counted["kills"] += 1

    def replace(self) -> None:
        if len(self.cluster.worker_nodes) < 2:
            self.cluster.add_node(num_cpus=1, wait=False)

    @staticmethod
    def taking_turns(node: Any) -> list[Any]:
        """The processes of a node that take turns now."""
        import psutil

        found = []
        for started in node.all_processes["raylet"]:
            try:
                children = psutil.Process(started.process.pid).children(recursive=True)
                found += [child for child in children if "_stream" in " ".join(child.cmdline())]
            except psutil.Error:
                continue
        return found


@pytest.fixture
def cluster(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Ray's head, which runs no cells, and two workers of one core each."""
    needs(request, "ray")
    monkeypatch.setenv("RAY_DISABLE_IMPORT_WARNING", "1")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        made.add_node(num_cpus=1)
    yield made
    made.shutdown()


def test_a_gpu_has_room_for_as_many_turns_as_it_has_shares(cluster: Any) -> None:
    cluster.add_node(num_cpus=64, num_gpus=1)
    for share, turns in ((1, 1), (0.5, 2), (0.2, 5), (0.1, 10), (0.05, 20)):
        engine = RayEngine(cluster.address, gpus=share)
        try:
            assert (share, engine.slots) == (share, turns)
        finally:
            engine.close()


def test_less_than_ray_counts_is_refused() -> None:
    pytest.importorskip("ray")
    with pytest.raises(UserError, match=r"--gpus 1e-05: Ray counts in steps of 0\.0001; give that or more, or 0"):
        RayEngine(gpus=0.00001)


def fails(*_: object) -> Iterator[object]:
    """In the place of what a worker of Ray runs."""
    yield from ()
    raise ModuleNotFoundError("No module named 'elsewhere'")


def test_ray_tells_what_a_worker_could_not_do(cluster: Any, cells: list[Cell]) -> None:
    engine = RayEngine(cluster.address, node_data=True)
    try:
        engine.stream = engine.ray.remote(max_retries=0)(fails)
        error = engine.submit(Turn(tuple(cells[:1]), (None,), 1.0), lambda _: None).exception(timeout=120)
    finally:
        engine.close()
    assert re.fullmatch(r"ModuleNotFoundError: No module named '[\w.]+'", str(error))


def test_ray_makes_the_same_records_whatever_is_killed(
    cluster: Any,
    cells: list[Cell],
    here: tuple[dict[str, object], float],
    tmp_path: Path,
    whole: bool,
    draws: random.Random,
    counted: Counter[str],
) -> None:
    expected, seconds = here
    wanted = 10 if whole else 1
    # two workers take half as long, and what is killed is done again
    killer = Killer(cluster, lambda: draws.uniform(0.5, 1.5) * seconds / 2 / wanted, wanted, counted)
    killer.start()
    try:
        soak(lambda: RayEngine(cluster.address), cells, expected, tmp_path / "there", counted, killer.replace)
    finally:
        killer.over.set()
        killer.join()
    if whole:
        assert counted["kills"] == killer.wanted
