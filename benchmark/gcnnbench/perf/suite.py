"""Runs the whole speed measurement: sections in order, each in its own time, into one report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from gcnnbench.device import arithmetic, choose, describe, keep_freed_memory
from gcnnbench.errors import UserError
from gcnnbench.outside_text import as_line
from gcnnbench.perf import anatomy, engines, harness, learnt, sections, workers
from gcnnbench.perf.bench import Bench
from gcnnbench.perf.peak import find_peak
from gcnnbench.perf.report import Comparison, Report
from gcnnbench.perf.targets import targets
from gcnnbench.runs import provenance

SECTIONS: Mapping[str, Callable[[Bench], Iterator[Comparison]]] = {
    "training": sections.training,
    "evaluation": sections.evaluation,
    "layers": sections.layers,
    "learnt": learnt.learnt,
    "cell": harness.cell,
    "anatomy": anatomy.anatomy,
    "seeds": sections.seeds,
    "scaling": sections.scaling,
    "start-up": harness.startup,
    "workers": workers.workers,
    "tables": harness.tables,
    "engines": engines.engines,
}
ON_REQUEST = ("engines",)
"""Sections that take minutes of sleep and start clusters: they are measured where they are asked for by name."""

SETTINGS = frozenset({"device", "threads", "seconds"})
NOT_LOOKED_AT: Mapping[str, frozenset[str]] = {
    "start-up": SETTINGS - {"seconds"},
    "tables": SETTINGS - {"seconds"},
    "workers": SETTINGS,
    "engines": SETTINGS,
}
"""The settings that a section has no use for: it runs no network, or always in the same way."""


def measure(
    names: Sequence[str], *, device: str, threads: int, seconds: float, tell: Callable[[Comparison], None]
) -> Report:
    """Measure these sections, or all but those `ON_REQUEST`.

    Args:
        names: sections.
        device: where the networks are.
        threads: CPU threads.
        seconds: about how long one comparison may take.
        tell: told of every comparison as soon as it is made.

    Raises:
        UserError: there is no such section.
    """
    for name in names:
        if name not in SECTIONS:
            raise UserError(f"there is no section {name!r}: one of {', '.join(SECTIONS)}")
    keep_freed_memory()  # as the processes that run cells do
    place, started, start = choose(device), provenance.now(), time.perf_counter()
    found: list[Comparison] = []
    with arithmetic(place, "fp32", threads):
        peak = find_peak(place)
        bench = Bench(place, seconds, peak)
        for name in names or [name for name in SECTIONS if name not in ON_REQUEST]:
            for comparison in SECTIONS[name](bench):
                found.append(comparison)
                tell(comparison)
    commit, dirty = provenance.commit()
    return Report(
        commit=commit,
        dirty=dirty,
        device=place.type,
        device_name=as_line(describe(place)),
        threads=threads,
        versions=provenance.versions(),
        platform=provenance.platform_name(),
        started=started,
        seconds=time.perf_counter() - start,
        peak=peak.flops,
        peak_of=peak.name,
        comparisons=tuple(map(peak.shares, found)),
        targets=targets(found, place.type),
    )
