"""Where the time of a training step goes: on the host by groups of operators, on the device by kernels and copies.

A profiler slows the host, so steps are timed without one, too; ratios are to the steps under it. Times of the device
are those of its kernels and copies added up; where some run side by side they exceed what the clock shows. The bytes
of copies are not counted.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile, record_function

from gcnnbench.cards.recipe import Constant
from gcnnbench.cards.registry import Registry
from gcnnbench.data.images import prepare
from gcnnbench.data.parts import Part
from gcnnbench.device import synchronise
from gcnnbench.perf.bench import Bench
from gcnnbench.perf.harness import BENCHMARK, ENTRY
from gcnnbench.perf.networks import CALLS_UNTIL_REPLAYED, GRAPHS
from gcnnbench.perf.report import Comparison, compared
from gcnnbench.perf.timing import Timing
from gcnnbench.training.capture import Graph
from gcnnbench.training.loop import train_by_steps
from gcnnbench.training.task import Task, TrainingState

BATCH, STEPS = 128, 4
TIMED, PROFILED = "a step", "a step under the profiler"
IMAGES, OPTIMISER = "host: images chosen and augmented", "host: optimiser"
FORWARD, FORWARD_CONVOLUTIONS = "host: forward, all else, and the sums", "host: forward, convolutions"
BACKWARD, BACKWARD_CONVOLUTIONS = "host: backward, all else", "host: backward, convolutions"
BETWEEN = "host: between operators"
LAUNCHES = "host: kernels and graphs launched"
KERNELS, COPIES = "device: kernels", "device: copies and fills"
ON_HOST = (IMAGES, FORWARD_CONVOLUTIONS, FORWARD, BACKWARD_CONVOLUTIONS, BACKWARD, OPTIMISER)
ON_DEVICE = (LAUNCHES, KERNELS, COPIES)
DRIVER = re.compile("cu(da)?[A-Z]")
"""How the calls of CUDA's driver and runtime begin, which the profiler lists beside the operators that make them."""
Told = Mapping[str, tuple[float, int]]
"""Seconds and number of events of each group."""


def anatomy(bench: Bench) -> Iterator[Comparison]:
    """A training step of the suite as it is and, where the device has graphs, recorded."""
    registry = Registry.load([])
    card = registry.benchmark(BENCHMARK)
    recipe = card.recipe.model_copy(
        update={"epochs": 1, "batch_size": BATCH, "tested_model": "last", "schedule": Constant(name="constant")}
    )
    shown = (CALLS_UNTIL_REPLAYED + 2 * STEPS) * BATCH
    pixels = torch.randint(256, (shown, 1, 28, 28), dtype=torch.uint8)
    images = prepare(Part(pixels, torch.arange(shown) % 10), card.input, 28, bench.device)
    forms: dict[str, Callable[[], Graph] | None] = {"as it is": None}
    if bench.device.type in GRAPHS:
        forms["as a CUDA graph"] = GRAPHS[bench.device.type]
    for form, graph in forms.items():
        torch.manual_seed(0)
        network = registry.build(ENTRY, card).to(bench.device)
        task = MarkedTask(card.name, 0, recipe, images, None, bench.device, torch.get_num_threads(), graph=graph)
        yield taken_apart(f"{ENTRY} of {BENCHMARK}, batch {BATCH}, {form}, {STEPS} steps", network, task)


class MarkedTask(Task):
    """A task whose preparation of images is marked for the profiler."""

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """See `Task`."""
        made = super().batches(epoch)
        while True:
            with record_function(IMAGES):
                batch = next(made, None)
            if batch is None:
                return
            yield batch


def taken_apart(title: str, network: nn.Module, task: Task) -> Comparison:
    """One step on average, and its parts.

    Args:
        title: of the comparison.
        network: on the device of the task.
        task: has an epoch of at least as many steps as warm up, are timed and are profiled.
    """
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if task.device.type == "cuda" else [])]
    with closing(train_by_steps(network, task, TrainingState())) as training:

        def several(number: int) -> float:
            begin = time.perf_counter()
            for _ in range(number):
                next(training)
            synchronise(task.device)
            return time.perf_counter() - begin

        several(CALLS_UNTIL_REPLAYED)
        timed = several(STEPS)
        with profile(activities=activities, acc_events=True) as seen:
            profiled = several(STEPS)
    told = dict(parts(seen.events()))
    told[BETWEEN] = (profiled - sum(told[name][0] for name in ON_HOST if name in told), 0)
    whole = {TIMED: (timed, 0), PROFILED: (profiled, 0)}
    found = {name: one for name in (*whole, *ON_HOST, BETWEEN, *ON_DEVICE) if (one := {**whole, **told}.get(name))}
    return compared(
        "anatomy",
        title,
        {name: Timing((seconds / STEPS,)) for name, (seconds, _) in found.items() if seconds > 0},
        reference=PROFILED,
        missing={name: f"a {task.device.type} shows none to the profiler" for name in ON_DEVICE if name not in found},
        counts={name: events / STEPS for name, (_, events) in found.items() if events},
    )


def parts(events: Iterable[Any]) -> Told:
    """Seconds and number of events of each group: operators by the time that they do not spend in others.

    Args:
        events: of `torch.profiler`, each a `FunctionEvent`.
    """
    found: dict[str, tuple[float, int]] = {}

    def add(name: str, microseconds: float) -> None:
        seconds, number = found.get(name, (0.0, 0))
        found[name] = seconds + microseconds / 1e6, number + 1

    for event in events:
        lineage = list(_lineage(event))
        if event.device_type.name != "CPU":
            if not event.is_user_annotation:  # a mark of the host, drawn over the kernels that it led to
                add(COPIES if event.name.startswith(("Memcpy", "Memset")) else KERNELS, event.time_range.elapsed_us())
            continue
        if DRIVER.match(event.name) and ("LaunchKernel" in event.name or "GraphLaunch" in event.name):
            add(LAUNCHES, event.time_range.elapsed_us())
        if not DRIVER.match(lineage[-1]):  # else the time of an operator beside it
            add(group_of(lineage), event.self_cpu_time_total)
    return found


def group_of(lineage: Iterable[str]) -> str:
    """The group of an operator.

    Args:
        lineage: its name and those of the operators that it was called in, the outermost last.
    """
    names = list(lineage)

    def within(*beginnings: str) -> bool:
        return any(name.startswith(beginnings) for name in names)

    if within(IMAGES):
        return IMAGES
    if within("Optimizer."):
        return OPTIMISER
    convolution = any("conv" in name.lower() for name in names)
    if within("autograd::engine"):
        return BACKWARD_CONVOLUTIONS if convolution else BACKWARD
    return FORWARD_CONVOLUTIONS if convolution else FORWARD


def _lineage(event: Any) -> Iterator[str]:
    while event is not None:
        yield event.name
        event = event.cpu_parent
