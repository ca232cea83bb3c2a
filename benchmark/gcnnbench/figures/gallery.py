"""Which figures there are, and drawing one of them to files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gcnnbench.cards.messages import choice
from gcnnbench.cards.registry import Registry
from gcnnbench.cards.schema import BenchmarkCard
from gcnnbench.claims.reading import read_claims
from gcnnbench.disk import write_whole
from gcnnbench.errors import UserError
from gcnnbench.figures.curve import draw_curve
from gcnnbench.figures.drawing import Drawing
from gcnnbench.figures.networks import networks
from gcnnbench.figures.pairs import draw_pairs
from gcnnbench.figures.relaxation import draw_relaxation
from gcnnbench.figures.style import encoded, styled
from gcnnbench.leaderboard.tables import leaderboard
from gcnnbench.runs.store import Store


@dataclass(frozen=True)
class Drawn:
    """A figure's files with the words and the command that go with it."""

    files: tuple[Path, ...]
    title: str
    caption: str
    alt: str
    command: str


FIGURES: Mapping[str, str] = {
    "curve": "accuracy against rotation angle, over the published curve where a claims card has it",
    "relaxation": "equivariance error against depth, before and after training",
    "pairs": "exact minus approximate networks with Welch's intervals, over benchmarks and metrics",
}
"""Every figure by name, and what it shows."""


def draw(registry: Registry, results: Path, name: str, benchmark: str | None, folder: Path) -> Drawn:
    """Draw a figure and write it as SVG and PNG; the same records give the same bytes.

    Args:
        registry: holds the cards.
        results: the results directory.
        name: one of `FIGURES`.
        benchmark: of this benchmark; only `pairs` can do without, and then shows all that have records.
        folder: where the files are written.

    Raises:
        UserError: there is no such figure or benchmark, or nothing to draw.
    """
    if name not in FIGURES:
        raise UserError(f"there is no figure '{name}'; {choice(name, FIGURES)}")
    card = registry.benchmark(benchmark) if benchmark is not None else None
    with styled():
        drawing = _drawing(registry, results, name, card)
        command = f"gcnnbench figure {name}{f' --benchmark {card.short_name}' if card else ''}"
        caption = f"{drawing.caption} Made by: {command}."
        contents = encoded(drawing.figure, drawing.title, caption)
    stem = f"{card.full_name}-{name}" if card else name
    paths, temporary = [], Store(results).temporary if folder.is_relative_to(results) else None
    for form, content in contents.items():
        paths.append(folder / f"{stem}.{form}")
        write_whole(paths[-1], content, temporary)
    return Drawn(tuple(paths), drawing.title, drawing.caption, drawing.alt, command)


def _drawing(registry: Registry, results: Path, name: str, card: BenchmarkCard | None) -> Drawing:
    if name == "pairs":
        boards, _ = leaderboard(registry, results, [card.name] if card else [])
        return draw_pairs(boards)
    if card is None:
        names = ", ".join(registry.benchmarks)
        raise UserError(f"the figure '{name}' is of one benchmark: add --benchmark with one of {names}")
    found = networks(registry, results, card)
    return draw_curve(card, found, read_claims(registry)) if name == "curve" else draw_relaxation(card, found)
