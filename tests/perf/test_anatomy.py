"""A training step taken apart, with the profiler's real events on a processor and made-up ones of a GPU."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import pytest
import torch

from gcnnbench.perf import anatomy, networks
from gcnnbench.perf.bench import Bench
from gcnnbench.perf.peak import Peak
from gcnnbench.perf.text import comparison_as_markdown
from tests.perf.test_recorded_rows import CountedGraph


def test_the_parts_of_a_step_are_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anatomy, "BATCH", 4)
    monkeypatch.setattr(CountedGraph, "asked", dict.fromkeys(("ahead", "record", "replay"), 0), raising=False)
    monkeypatch.setitem(networks.GRAPHS, "cpu", CountedGraph)
    plain, recorded = anatomy.anatomy(Bench(torch.device("cpu"), 0.0, Peak()))
    assert ("as it is" in plain.title, "as a CUDA graph" in recorded.title) == (True, True)
    for found in (plain, recorded):
        times = {row.name: row.time.value for row in found.rows if row.time}
        assert set(times) == {anatomy.TIMED, anatomy.PROFILED, *anatomy.ON_HOST, anatomy.BETWEEN}
        assert sum(times[name] for name in (*anatomy.ON_HOST, anatomy.BETWEEN)) == pytest.approx(1.0)
        assert {row.name for row in found.rows if row.why} == set(anatomy.ON_DEVICE)
    assert CountedGraph.asked["replay"] == 2 * anatomy.STEPS + networks.CALLS_UNTIL_REPLAYED - 1
    assert "| count |" in " ".join(comparison_as_markdown(plain).split())


@dataclass
class Range:
    microseconds: float

    def elapsed_us(self) -> float:
        return self.microseconds


class Device(Enum):
    """As the profiler names them."""

    CPU = 0
    CUDA = 1


@dataclass
class Event:
    name: str
    self_cpu_time_total: float
    device_type: Device = Device.CPU
    cpu_parent: Event | None = None
    is_user_annotation: bool = False
    time_range: Range = field(init=False)

    def __post_init__(self) -> None:
        self.time_range = Range(self.self_cpu_time_total)


def test_kernels_copies_and_launches_are_told_apart() -> None:
    step = Event("Optimizer.step#Adam.step", 10)
    backward = Event("autograd::engine::evaluate_function: ConvolutionBackward0", 3)
    found = anatomy.parts(
        [
            step,
            Event("aten::add_", 20, cpu_parent=step),
            Event("aten::convolution_backward", 7, cpu_parent=backward),
            Event("aten::conv2d", 5),
            Event("cudaLaunchKernel", 4),
            Event("cudaGraphLaunch", 6, cpu_parent=step),
            Event("cudaStreamSynchronize", 99),
            Event("sgemm", 50, Device.CUDA),
            Event("Memcpy HtoD (Pinned -> Device)", 8, Device.CUDA),
            Event(anatomy.IMAGES, 1000, Device.CUDA, is_user_annotation=True),
        ]
    )
    microseconds = {name: (round(seconds * 1e6), number) for name, (seconds, number) in found.items()}
    assert microseconds == {
        anatomy.OPTIMISER: (36, 3),
        anatomy.BACKWARD_CONVOLUTIONS: (7, 1),
        anatomy.FORWARD_CONVOLUTIONS: (5, 1),
        anatomy.LAUNCHES: (10, 2),
        anatomy.KERNELS: (50, 1),
        anatomy.COPIES: (8, 1),
    }
