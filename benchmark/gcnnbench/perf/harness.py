"""Times the suite around its networks: a cell against a bare loop, start-up, and tables of many records."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.recipe import Constant
from gcnnbench.cards.registry import Registry
from gcnnbench.data.images import Images, prepare
from gcnnbench.data.parts import Part
from gcnnbench.data.rotate import rotate
from gcnnbench.device import arithmetic, scoring_batch, synchronise
from gcnnbench.leaderboard.frame import boards
from gcnnbench.leaderboard.reading import read_results
from gcnnbench.leaderboard.text import as_markdown
from gcnnbench.nn.groups import group
from gcnnbench.perf import synthetic
from gcnnbench.perf.bench import Bench
from gcnnbench.perf.networks import GRAPHS, RECORDED
from gcnnbench.perf.report import Comparison
from gcnnbench.perf.timing import Work
from gcnnbench.rewriting.folded import for_scoring
from gcnnbench.scoring.conditions import EvaluationState, UnusableError, evaluate
from gcnnbench.training.capture import Graph
from gcnnbench.training.loop import train
from gcnnbench.training.task import Task, TrainingState

BENCHMARK, ENTRY = "mnist-upright", "p4cnn@28"
STEPS = 2
"""Of an epoch."""
EPOCHS = 1_000_000
"""More than are ever timed of one training."""
ANGLES = (0, 90, 180, 270)
SUITE, BARE = "gcnnbench", "bare loop"
RECORDS = 10_000
READ = (500, 1000, 2000)


def cell(bench: Bench) -> Iterator[Comparison]:
    """An epoch and its scoring by the suite, and by a loop written out: what the harness costs.

    Each candidate trains a network of its own, on from one epoch to the next. So what a training does once, as a first
    step or the recording of a graph, is in the epochs that warm up; every timed step of a recorded one is a replay.
    """
    threads = torch.get_num_threads()
    registry = Registry.load([])
    card = registry.benchmark(BENCHMARK)
    size = card.recipe.batch_size
    recipe = {"epochs": EPOCHS, "tested_model": "last", "schedule": Constant(name="constant")}
    card = card.model_copy(
        update={
            "recipe": card.recipe.model_copy(update=recipe),
            "evaluation": card.evaluation.model_copy(
                update={"curve": card.evaluation.curve.model_copy(update={"step": 90})}
            ),
        }
    )
    pixels = torch.randint(256, (STEPS * size, 1, 28, 28), dtype=torch.uint8)
    images = prepare(Part(pixels, torch.arange(STEPS * size) % 10), card.input, 28, bench.device)
    torch.manual_seed(0)
    network = registry.build(ENTRY, card).to(bench.device)
    work: dict[str, Work] = {
        SUITE: _suite_epochs(deepcopy(network), images, card, threads, None),
        BARE: _bare_epochs(deepcopy(network), images, card, threads),
    }
    if (graph := GRAPHS.get(bench.device.type)) is not None:
        work[RECORDED] = _suite_epochs(deepcopy(network), images, card, threads, graph)
    title = f"{ENTRY} of {BENCHMARK}: {STEPS} steps of {size}, then {4 + len(ANGLES) - 1} conditions"
    yield bench.compare("cell", title, work, reference=BARE, share=2)


def _suite_epochs(
    network: nn.Module, images: Images, card: BenchmarkCard, threads: int, graph: Callable[[], Graph] | None
) -> Work:
    """The next epoch of a training by the suite, and the scoring of the network after it."""
    task = Task(card.name, 0, card.recipe, images, None, images.labels.device, threads, graph=graph)
    training = train(network, task, TrainingState())

    def epoch() -> None:
        next(training)
        scored = EvaluationState()
        with suppress(UnusableError):  # noise may all be put into one class, which is said when all is scored
            for _ in evaluate(network, images, card.evaluation, group("p4"), threads, scored):
                pass
        if len(scored.classes) < len(ANGLES):
            raise RuntimeError("the suite did not score every condition, so its time cannot be compared")

    return epoch


def _bare_epochs(network: nn.Module, images: Images, card: BenchmarkCard, threads: int) -> Work:
    """The same as in a script of somebody who needs no records."""
    optimiser = torch.optim.Adam(network.parameters(), lr=card.recipe.optimiser.learning_rate, weight_decay=1e-5)

    def epoch() -> None:
        with arithmetic(images.labels.device, "fp32", threads):
            _bare_loop(network, optimiser, images, card)

    return epoch


def _bare_loop(network: nn.Module, optimiser: Optimizer, images: Images, card: BenchmarkCard) -> None:
    """Train an epoch and score, as many images at once as the suite scores."""
    recipe, device = card.recipe, images.labels.device
    test = scoring_batch(device, images.size)
    mean, std = images.mean.float(), images.std.float()

    def normalised(pixels: Tensor) -> Tensor:
        return (pixels.float() / 255 - mean) / std

    network.train()
    for chosen in torch.randperm(len(images)).to(device).split(recipe.batch_size):
        optimiser.zero_grad()
        shown = normalised(images.pixels[chosen]).expand(-1, card.input.channels, -1, -1)
        F.cross_entropy(network(shown), images.labels[chosen]).backward()
        optimiser.step()
    network = for_scoring(network)
    with torch.inference_mode():
        for turn in (*range(4), *ANGLES[1:]):
            correct = torch.zeros((), dtype=torch.int64, device=device)
            for start in range(0, len(images), test):
                shown = normalised(images.pixels[start : start + test])
                shown = shown.rot90(turn, (-2, -1)) if turn < 4 else rotate(shown, float(turn))
                logits = network(shown.expand(-1, card.input.channels, -1, -1))
                correct += (logits.argmax(1) == images.labels[start : start + test]).sum()
            correct.item()
    synchronise(device)


def startup(bench: Bench) -> Iterator[Comparison]:
    """Commands that must answer at once, in fresh processes, beside an empty Python."""

    def process(*words: str) -> None:
        subprocess.run([sys.executable, *words], check=True, capture_output=True)

    work = {
        "gcnnbench list": lambda: process("-m", "gcnnbench", "list"),
        "gcnnbench --help": lambda: process("-m", "gcnnbench", "--help"),
        "python -c pass": lambda: process("-c", "pass"),
    }
    yield bench.compare("start-up", "fresh processes", work, reference="python -c pass", share=0.5)


def tables(bench: Bench) -> Iterator[Comparison]:
    """A leaderboard of ten thousand records rendered, and directories of records read."""
    registry = Registry.load([])
    card, runs, expected = synthetic.runs(registry, RECORDS)

    def render() -> str:
        return as_markdown(boards([card], registry.models, runs, expected), wide=True)

    yield bench.compare("tables", "rendering", {f"{RECORDS:,} records": render}, reference=f"{RECORDS:,} records")
    with tempfile.TemporaryDirectory() as folder:
        for count in READ:
            synthetic.write(registry, Path(folder, str(count)), count)
        cards = {card.full_name: card for card in registry.benchmarks.values()}
        work = {
            f"{count:,} records": lambda folder=Path(folder, str(count)): read_results(folder, cards) for count in READ
        }
        yield bench.compare("tables", "reading and checking", work, reference=f"{READ[0]:,} records", share=0.5)
