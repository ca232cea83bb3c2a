"""Tables of probes in docs/weight-space.md are those of the kept readings, and these are of the committed weights."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter
from safetensors.torch import load_file

from gcnnbench.cards.registry import Registry
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.leaderboard.records import all_records, counted
from gcnnbench.nn.groups import P4
from gcnnbench.probes import subspace
from gcnnbench.record_checks.weight_probes import Probed
from gcnnbench.record_checks.weight_probes_text import as_markdown
from gcnnbench.scoring.weights import load_weights
from gcnnbench.strict_json import json_document

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"
SEEDS = (0, 1, 2)


def kept(probe: str) -> Probed:
    text = (ROOT / f"docs/probes/{probe}.json").read_text("utf-8")
    found = TypeAdapter(Probed).validate_json(text)
    assert json_document(found) == text
    return found


@pytest.mark.parametrize("probe", ["alignment", "subspace"])
def test_the_page_holds_the_tables_of_the_readings(probe: str) -> None:
    assert as_markdown(kept(probe)) in (ROOT / "docs/weight-space.md").read_text("utf-8")


@pytest.mark.parametrize("probe", ["alignment", "subspace"])
def test_what_was_read_is_of_counted_records(probe: str) -> None:
    """Records that came later are read with the next making of the tables, which name their seeds."""
    registry = Registry.load()
    cards = [card for name, card in registry.versions().items() if name in {p.name for p in RESULTS.glob("mnist-*@*")}]
    seeds = {
        (benchmark, entry): {one.run.seed for one in here}
        for benchmark, records in all_records(registry, RESULTS, cards).items()
        for entry, here in counted(records).items()
    }
    read = {(one.benchmark, one.entry): set(one.seeds) for one in kept(probe).layers}
    assert len(read) > 20
    assert not [where for where, here in read.items() if not here <= seeds[where] & set(SEEDS)]


@pytest.mark.parametrize("entry", ["p4cnn@27", "z2cnn@28"])
def test_distances_of_banks_are_those_of_the_committed_weights(entry: str) -> None:
    """They need no data: what they depend on is in git."""
    registry, benchmark, size = Registry.load(), "mnist-upright@1", int(entry.partition("@")[2])
    network = registry.build(entry, registry.benchmark(benchmark))
    load_weights(network, load_file(RESULTS / benchmark / entry / "seed-1.safetensors"))
    again = subspace.measure(network, sample_images(4, 3, size), P4)
    readings = {
        one.layer: one.trained[one.seeds.index(1)]
        for one in kept("subspace").layers
        if (one.benchmark, one.entry, one.quantity) == (benchmark, entry, "outside")
    }
    assert readings == pytest.approx({layer: reading["outside"] for layer, reading in again.items()}, abs=1e-6)
    assert (max(readings.values()) < 1e-12) == entry.startswith("p4cnn")
