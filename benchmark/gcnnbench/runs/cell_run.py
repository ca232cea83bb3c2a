"""Runs a cell: trains, then scores, as a generator of states whose last item is the record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from gcnnbench.cards.base import split_entry
from gcnnbench.data.fitted import shares_of
from gcnnbench.data.images import Images, prepare
from gcnnbench.data.parts import Part
from gcnnbench.data.streams import derive
from gcnnbench.device import arithmetic, choose, peak_memory, reset_peak_memory, seeded
from gcnnbench.nn.groups import group
from gcnnbench.probes import probing
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.finish import Finished, finish
from gcnnbench.runs.measuring import equivariance_now
from gcnnbench.runs.state import CellState, start
from gcnnbench.scoring.conditions import evaluate
from gcnnbench.scoring.weights import load_weights
from gcnnbench.training.capture import CudaGraph, Graph
from gcnnbench.training.loop import train
from gcnnbench.training.many_seeds import train_many_seeds
from gcnnbench.training.side_by_side import train_side_by_side
from gcnnbench.training.task import Task


@dataclass(frozen=True)
class Material:
    """The network as initialised, and the images of each share at its size, all on the device."""

    network: nn.Module
    train: Images
    validation: Images | None
    test: Images


def train_cells(cells: Sequence[Cell], states: Sequence[CellState]) -> Iterator[Mapping[int, BaseException]]:
    """Train cells of one entry, which differ in their seed only, at once; `run_cell` goes on from there.

    They are one computation, or, where steps are recorded, trained side by side: then a cell's state is the one that it
    has alone, and its memory is its share, as its time is in both.

    Yields:
        After every epoch, the cells lost so far by their position, with the reason.

    Raises:
        UserError: the data or the networks cannot be loaded, or a layer has no form for several seeds at once.
    """
    side_by_side = cells[0].cuda_graphs
    device = choose(cells[0].device)
    reset_peak_memory(device)
    networks, tasks = [], []
    for cell in cells:
        with arithmetic(device, "fp32", cell.threads):
            material = prepare_material(cell, device)
        networks.append(material.network)
        tasks.append(_task(cell, material, device))
    training: Iterator[Mapping[int, BaseException]]
    if side_by_side:
        training = train_side_by_side(networks, tasks, [state.training for state in states])
    else:
        training = _train_as_one(networks, tasks, states)
    for lost in training:
        peak = peak_memory(device) // (len(cells) if side_by_side else 1)
        for state in states:
            state.phase, state.peak_memory = "training", max(state.peak_memory, peak)
        yield lost


def _train_as_one(
    networks: Sequence[nn.Module], tasks: Sequence[Task], states: Sequence[CellState]
) -> Iterator[dict[int, BaseException]]:
    """Train cells as one computation, each at its place; copies of the first one fill those that are free.

    The bits of a cell depend on how many places there are and on its own, and not on what fills the others.
    """
    at = {state.place: position for position, state in enumerate(states)}
    first, places = states[0].training, range(states[0].seeds_at_once)
    filled = [at.get(place, 0) for place in places]
    training = [states[at[p]].training if p in at else replace(first, history=list(first.history)) for p in places]
    for lost in train_many_seeds([networks[one] for one in filled], [tasks[one] for one in filled], training):
        yield {at[place]: error for place, error in lost.items() if place in at}
        if lost.keys() >= at.keys():
            return


def run_to_end(cell: Cell) -> Finished:
    """Train and score one cell without a pause, and give what it leaves; raises as `run_cell` does."""
    *_, last = run_cell(cell)
    if not isinstance(last, Finished):
        raise TypeError(f"a cell ends with its record, not with {type(last).__name__}")
    return last


def run_cell(cell: Cell, state: CellState | None = None) -> Iterator[CellState | Finished]:
    """Train and score one cell, yielding its state after every epoch and condition, and last what it leaves.

    The state is one object that changes between yields: keep what is needed of it before asking for the next.

    Args:
        cell: what to run.
        state: an earlier state of the same cell on the same machine, to go on from with the same bits.

    Raises:
        UserError: the data or the entry's network cannot be loaded.
        DivergedError: the loss is not finite.
        UnusableError: the logits are not finite, or one class is predicted throughout.
    """
    state = state or start(cell)
    card, device = cell.card, choose(cell.device)
    reset_peak_memory(device)
    with arithmetic(device, "fp32", cell.threads):
        material = prepare_material(cell, device)
        network, test = material.network, material.test
        state.before = state.before or equivariance_now(network, test, card, cell.model).model_dump_json()
    state.phase = "training"
    task = _task(cell, material, device)
    for _ in train(network, task, state.training):
        state.peak_memory = max(state.peak_memory, peak_memory(device))
        yield state
    state.phase = "evaluation"
    load_weights(network, state.training.tested_network)
    conditions = group(card.evaluation.group)
    for _ in evaluate(network, test, card.evaluation, conditions, cell.threads, state.evaluation):
        state.peak_memory = max(state.peak_memory, peak_memory(device))
        yield state
    with arithmetic(device, "fp32", cell.threads):
        yield finish(cell, state, network, test, recorded=task.records(network))


def _task(cell: Cell, material: Material, device: torch.device) -> Task:
    card = cell.card
    train, validation = material.train, material.validation
    probe = probing(card.evaluation, material.test)
    return Task(card.name, cell.seed, card.recipe, train, validation, device, cell.threads, probe, recorder(cell))


def recorder(cell: Cell) -> Callable[[], Graph] | None:
    """Makes the graphs in which a cell's training steps are recorded; null where each is made as it is."""
    return CudaGraph if cell.cuda_graphs and choose(cell.device).type == "cuda" else None


def prepare_material(cell: Cell, device: torch.device) -> Material:
    """Build the network from its own random stream and bring the split's images to its size, on the device."""
    card = cell.card
    size = split_entry(cell.entry)[1]
    shares = shares_of(card, cell.parts(), cell.seed, cell.limit)

    def images(part: Part) -> Images:
        return prepare(part, card.input, size, device)

    with seeded(device, derive(card.name, cell.seed, "initialisation")):
        network = cell.registry.build(cell.entry, card).to(device)
    validation = None if shares.validation is None else images(shares.validation)
    return Material(network, images(shares.train), validation, images(shares.test))
