"""What is timed and weighed of recorded steps, with a graph that runs its work anew and counts what is asked of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import ClassVar

import pytest
import torch
from torch import nn

from gcnnbench.perf import harness, networks, sections
from gcnnbench.perf.bench import Bench, Prepare
from gcnnbench.perf.peak import Peak
from gcnnbench.perf.report import Comparison, compared
from gcnnbench.perf.timing import Timing, Work


class CountedGraph:
    """A graph whose replay is its work."""

    asked: ClassVar[Counter[str]]

    def ahead(self, work: Callable[[], None]) -> None:
        self.asked["ahead"] += 1
        work()

    def record(self, work: Callable[[], None]) -> None:
        self.asked["record"] += 1
        self.work = work

    def replay(self) -> None:
        self.asked["replay"] += 1
        self.work()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What graphs were asked for, on a processor that has some."""
    monkeypatch.setattr(CountedGraph, "asked", Counter[str](), raising=False)
    monkeypatch.setitem(networks.GRAPHS, "cpu", CountedGraph)
    return CountedGraph.asked


class Taken(Bench):
    """A bench that does no work but keeps it, and what would be weighed."""

    work: ClassVar[dict[str, Work]]
    weighed: ClassVar[dict[str, Prepare]]

    def compare(
        self,
        section: str,
        title: str,
        work: Mapping[str, Work],
        *,
        reference: str,
        memory: Mapping[str, Prepare] | None = None,
        **_: object,
    ) -> Comparison:
        type(self).work, type(self).weighed = dict(work), dict(memory or {})
        return compared(section, title, dict.fromkeys(work, Timing((1.0,))), reference=reference)


@pytest.fixture
def bench() -> Taken:
    return Taken(torch.device("cpu"), 0.0, Peak())


def test_after_a_cell_has_warmed_up_all_its_recorded_steps_are_replays(
    asked: Counter[str], bench: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness, "ENTRY", "z2cnn@28")
    monkeypatch.setattr(harness, "evaluate", lambda *_: iter(()))
    monkeypatch.setattr(harness, "ANGLES", ())
    (found,) = harness.cell(bench)
    assert [row.name for row in found.rows] == [harness.SUITE, harness.BARE, networks.RECORDED]
    recorded = bench.work[networks.RECORDED]
    recorded()
    assert asked == {"ahead": 1, "record": 1, "replay": harness.STEPS - 1}
    asked.clear()
    recorded()
    assert asked == {"replay": harness.STEPS}


def test_the_bare_loop_scores_as_many_images_at_once_as_the_suite(
    bench: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = set[int]()

    def seen(network: nn.Module) -> nn.Module:
        network.register_forward_pre_hook(lambda _, given: shown.add(len(given[0])))
        return network

    monkeypatch.setattr(harness, "ENTRY", "z2cnn@28")
    monkeypatch.setattr(harness, "scoring_batch", lambda _device, size: size + 1)
    monkeypatch.setattr(harness, "for_scoring", seen)
    list(harness.cell(bench))
    bench.work[harness.BARE]()
    assert max(shown) == 29


def test_the_memory_of_a_recorded_step_is_taken_over_its_recording(
    asked: Counter[str], bench: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = networks.Setting("z2cnn", 12, 2)
    monkeypatch.setattr(sections, "SETTINGS", (tiny,))
    monkeypatch.setattr(networks, "STEERABLE", ())
    list(sections.training(bench))
    assert set(bench.weighed) == set(bench.work) > {networks.RECORDED}
    asked.clear()
    bench.work[networks.RECORDED]()
    assert asked == {"replay": 1}, "what is timed"
    asked.clear()
    bench.weighed[networks.RECORDED]()
    assert asked == {"ahead": 1, "record": 1, "replay": 1}, "what is weighed"


def test_what_is_made_for_the_work_counts_as_its_memory(bench: Taken, monkeypatch: pytest.MonkeyPatch) -> None:
    held = [7]
    monkeypatch.setattr("gcnnbench.perf.bench.peak_memory", lambda _: held[0])

    def prepare() -> Work:
        held[0] += 100
        return lambda: None

    assert bench.high_water(prepare) == 100
