"""Probes the weights beside records, trained and untrained: layers, and networks merged with themselves turned.

The row where a probe must be perfect is an exact network's, that where it must be noise is the untrained network of the
same seed. A merged network stands halfway between the trained one and itself moved by an element of the group, its
channels matched; beside it stands the merge with another seed's network, whose gap has nothing to do with symmetry.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor

from gcnnbench.cards.registry import Registry
from gcnnbench.errors import UserError
from gcnnbench.foreign_code import REFUSALS
from gcnnbench.leaderboard.records import counted, stored_records
from gcnnbench.nn.groups import Element, group
from gcnnbench.plain_files import read_plain
from gcnnbench.probes import alignment, read
from gcnnbench.probes.chains import Chain, chain, conjugated, merged
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import Material, prepare_material
from gcnnbench.runs.files import WEIGHTS_BYTES, weights_path
from gcnnbench.runs.outcomes import said_of_network
from gcnnbench.scoring.weights import load_weights

NAMES = ("alignment", "subspace")
TEST_IMAGES = 500


@dataclass(frozen=True)
class Layer:
    """One quantity of one layer of an entry, of the trained and of the untrained network of each seed.

    `untrained` is null where the records are of an earlier version of the model, which began with other weights.
    """

    benchmark: str
    entry: str
    layer: str
    quantity: str
    seeds: tuple[int, ...]
    trained: tuple[float, ...]
    untrained: tuple[float, ...] | None


@dataclass(frozen=True)
class Merge:
    """Accuracies, as shares, on the first `TEST_IMAGES` test images as they are, of each seed.

    Args:
        own: of the trained networks.
        fresh: with their norm statistics taken anew on the images on which those of merged ones are: what these are
            to be held against.
        moved: merged with themselves moved.
        other: merged with the next seed's; empty of a single seed.
    """

    benchmark: str
    entry: str
    seeds: tuple[int, ...]
    own: tuple[float, ...]
    fresh: tuple[float, ...]
    moved: tuple[float, ...]
    other: tuple[float, ...]


@dataclass(frozen=True)
class Probed:
    """All that one call reads, with the number of images that it was read on."""

    probe: str
    images: int
    test_images: int
    layers: list[Layer]
    merges: list[Merge]
    notes: list[str]


@dataclass(frozen=True)
class _Trained:
    seed: int
    trained: dict[str, dict[str, float]]
    untrained: dict[str, dict[str, float]] | None
    chain: Chain
    images: Tensor
    test: tuple[Tensor, Tensor]


def probe_records(
    registry: Registry,
    results: Path,
    benchmarks: Sequence[str],
    name: str,
    data: Path,
    *,
    images: int,
    entries: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
) -> Probed:
    """Read a probe from the weights of all records that tables count.

    Args:
        registry: the cards.
        results: the results directory.
        benchmarks: names, as `mnist-upright@1`.
        name: of the probe.
        data: where the data sets are.
        images: training images on which channels are matched and statistics taken; never test images.
        entries: only these; all where empty.
        seeds: only these; all where None.

    Raises:
        UserError: there is no such probe, or no benchmark has weights.
    """
    if name not in NAMES:
        raise UserError(f"there is no probe {name!r} of weights: one of {', '.join(NAMES)}")
    found = Probed(name, images, TEST_IMAGES, [], [], [])
    for benchmark in benchmarks:
        card = registry.benchmark(benchmark)
        element = alignment.probed_element(group(card.evaluation.group).point)
        for entry, kept in counted(stored_records(registry, results, card)).items():
            if entries and entry not in entries:
                continue
            here: list[_Trained] = []
            for one in kept:
                if seeds is not None and one.run.seed not in seeds:
                    continue
                path = weights_path(results / one.place, results, one.record)
                if not path.is_file():
                    found.notes.append(f"{benchmark} {entry} seed {one.run.seed}: its weights are not here")
                    continue
                cell = Cell(registry, benchmark, entry, one.run.seed, "cpu", torch.get_num_threads(), data)
                try:
                    here.append(_read(cell, name, load(read_plain(path, WEIGHTS_BYTES)), images))
                except REFUSALS as error:
                    found.notes.append(f"{benchmark} {entry}: {said_of_network(error)}")
                    break
            if here:
                found.layers.extend(_layers(benchmark, entry, here))
                if name == "alignment":
                    found.merges.append(_merge(benchmark, entry, here, element))
    if not found.layers:
        raise UserError("no record with weights that the probe can read: " + ("; ".join(found.notes) or "none is here"))
    return found


def _read(cell: Cell, name: str, weights: dict[str, Tensor], images: int) -> _Trained:
    material: Material = prepare_material(cell, torch.device("cpu"))
    acting, shown = group(cell.card.evaluation.group).point, material.train.batch(slice(images))
    began = cell.card.version_of(cell.model) == cell.model.model_version
    untrained = read((name,), material.network, shown, acting)[name] if began else None
    load_weights(material.network, weights)
    trained = read((name,), material.network, shown, acting)[name]
    test = material.test.batch(slice(TEST_IMAGES)), material.test.labels[:TEST_IMAGES]
    return _Trained(cell.seed, trained, untrained, chain(material.network), shown.double(), test)


def _layers(benchmark: str, entry: str, here: Sequence[_Trained]) -> Iterator[Layer]:
    for layer, quantities in here[0].trained.items():
        for quantity in quantities:
            trained = tuple(one.trained[layer][quantity] for one in here)
            untrained = tuple(one.untrained[layer][quantity] for one in here if one.untrained is not None)
            yield Layer(benchmark, entry, layer, quantity, _seeds(here), trained, untrained or None)


def _merge(benchmark: str, entry: str, here: Sequence[_Trained], element: Element) -> Merge:
    following = [*here[1:], here[0]] if len(here) > 1 else []
    return Merge(
        benchmark,
        entry,
        _seeds(here),
        own=tuple(_accuracy(one.chain, one.test) for one in here),
        fresh=tuple(_accuracy(merged(one.chain, one.chain, one.images), one.test) for one in here),
        moved=tuple(_accuracy(_halfway(one, one.chain, element), one.test) for one in here),
        other=tuple(
            _accuracy(_halfway(one, other.chain, Element()), one.test)
            for one, other in zip(here, following, strict=False)
        ),
    )


def _seeds(here: Sequence[_Trained]) -> tuple[int, ...]:
    return tuple(one.seed for one in here)


def _halfway(one: _Trained, other: Chain, element: Element) -> Chain:
    each = alignment.matchings(one.chain, other, one.images, element)
    return merged(one.chain, conjugated(other, element, [matching.places for matching in each]), one.images)


@torch.no_grad()
def _accuracy(found: Chain, test: tuple[Tensor, Tensor]) -> float:
    images, labels = test
    network = copy.deepcopy(found.network).float()
    correct = sum(
        int((network(batch).argmax(1) == truth).sum())
        for batch, truth in zip(images.split(alignment.BATCH), labels.split(alignment.BATCH), strict=True)
    )
    return correct / len(labels)
