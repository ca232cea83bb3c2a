"""What is timed and weighed of recorded steps, with a graph that runs its work anew and counts what is asked of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import pytest
import torch

from gcnnbench.perf import harness, networks
from gcnnbench.perf.bench import Bench
from gcnnbench.perf.peak import Peak
from gcnnbench.perf.report import Comparison, compared
from gcnnbench.perf.timing import Timing, Work


class CountedGraph:
    """A graph whose replay is its work."""

    asked = Counter[str]()

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
    monkeypatch.setattr(CountedGraph, "asked", Counter[str]())
    monkeypatch.setitem(networks.GRAPHS, "cpu", CountedGraph)
    return CountedGraph.asked


class Taken(Bench):
    """A bench that does no work but keeps it."""

    def compare(self, section: str, title: str, work: Mapping[str, Work], *, reference: str, **_: object) -> Comparison:
        object.__setattr__(self, "work", dict(work))
        return compared(section, title, dict.fromkeys(work, Timing((1.0,))), reference=reference)


def test_after_a_cell_has_warmed_up_all_its_recorded_steps_are_replays(
    asked: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness, "ENTRY", "z2cnn@28")
    bench = Taken(torch.device("cpu"), 0.0, Peak())
    (found,) = harness.cell(bench)
    assert [row.name for row in found.rows] == [harness.SUITE, harness.BARE, networks.RECORDED]
    recorded = vars(bench)["work"][networks.RECORDED]
    recorded()
    assert asked == {"ahead": 1, "record": 1, "replay": harness.STEPS - 1}
    asked.clear()
    recorded()
    assert asked == {"replay": harness.STEPS}
