"""What a process that runs cells costs: seconds until its first step, and memory, with one cell and after eight.

It is started anew for this. Its data are made up, in the form of MNIST's, so that nothing has to be fetched; each cell
trains one step and is then dropped, as in `runs/worker.py`. Memory is what belongs to the process alone: libraries are
files, which all processes on a machine share.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gcnnbench.perf.bench import Bench
    from gcnnbench.perf.report import Comparison

BENCHMARK, ENTRY, CELLS = "mnist-upright", "p4cnn@28", 8
IMPORT, DATA, BUILT, STEP = "import", "data", "images and network", "first step"
LATER = f"{CELLS - 1} further cells, each"
TITLE = f"a process with cells of {ENTRY}, data of MNIST's form"


def workers(_bench: Bench) -> Iterator[Comparison]:
    """A fresh process from its start to its eighth cell; memory is that at the end of each stage."""
    from gcnnbench.perf.report import compared
    from gcnnbench.perf.timing import Timing

    done = subprocess.run([sys.executable, "-m", __name__], capture_output=True, text=True, check=True)
    stages: dict[str, tuple[float, int | None]] = json.loads(done.stdout)
    timings = {name: Timing((seconds,)) for name, (seconds, _) in stages.items()}
    memory = {name: held for name, (_, held) in stages.items() if held is not None}
    yield compared("workers", TITLE, timings, reference=IMPORT, memory=memory)


def own_memory() -> int | None:
    """Bytes that belong to this process alone; null where the system does not say."""
    status = Path("/proc/self/status")
    found = re.search(r"^RssAnon:\s*(\d+) kB$", status.read_text(), re.MULTILINE) if status.exists() else None
    return int(found[1]) * 1024 if found else None


def stages() -> Iterator[str]:
    """Live through a process of cells, and name each stage as it ends; the further cells are one each."""
    import torch

    from gcnnbench.cards.registry import Registry
    from gcnnbench.data.parts import Part
    from gcnnbench.device import keep_freed_memory
    from gcnnbench.runs.cell import Cell
    from gcnnbench.runs.cell_run import prepare_material
    from gcnnbench.training.loop import train
    from gcnnbench.training.task import Task, TrainingState

    keep_freed_memory()
    registry, device = Registry.load([]), torch.device("cpu")
    yield IMPORT
    card = registry.benchmark(BENCHMARK)
    recipe = card.recipe.model_copy(update={"epochs": 1, "tested_model": "last"})
    dataset = registry.dataset(card.dataset)
    given = {
        name: Part(
            torch.randint(256, (part.images, 1, dataset.size, dataset.size), dtype=torch.uint8),
            torch.arange(part.images) % dataset.classes,
        )
        for name, part in dataset.parts.items()
    }
    yield DATA
    for seed in range(CELLS):
        material = prepare_material(
            Cell(registry, BENCHMARK, ENTRY, seed, "cpu", 1, Path("unused"), given=given), device
        )
        if seed == 0:
            yield BUILT
        pixels, labels = (tensor[: recipe.batch_size] for tensor in (material.train.pixels, material.train.labels))
        batch = replace(material.train, pixels=pixels, labels=labels)
        for _ in train(material.network, Task(BENCHMARK, seed, recipe, batch, None, device, 1), TrainingState()):
            pass
        yield STEP if seed == 0 else LATER
        del material, batch


def main() -> None:
    """Print for each stage its seconds, from the start of this module, and the memory at its end."""
    began, found = time.perf_counter(), dict[str, list[tuple[float, int | None]]]()
    for name in stages():
        found.setdefault(name, []).append((time.perf_counter() - began, own_memory()))
        began = time.perf_counter()
    told = {name: (sum(seconds for seconds, _ in each) / len(each), each[-1][1]) for name, each in found.items()}
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main()
