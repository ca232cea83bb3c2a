"""Which figures there are, and drawing one of them to files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.messages import choice
from gcnnbench.cards.registry import Registry
from gcnnbench.claims.reading import read_claims
from gcnnbench.disk import require_writable
from gcnnbench.errors import UserError
from gcnnbench.figures.curve import draw_curve
from gcnnbench.figures.degree import draw_degree
from gcnnbench.figures.drawing import Drawing, write_figure
from gcnnbench.figures.networks import networks
from gcnnbench.figures.pairs import draw_pairs
from gcnnbench.figures.relaxation import draw_relaxation
from gcnnbench.figures.style import styled
from gcnnbench.leaderboard.regret import family_records
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
    "degree": "how much symmetry was learnt, by depth and by condition of a family of benchmarks",
    "pairs": "exact minus approximate networks with 95% intervals, over benchmarks and metrics",
}
"""Every figure by name, and what it shows."""


def draw(
    registry: Registry, results: Path, name: str, benchmark: str | None, folder: Path, family: str | None = None
) -> Drawn:
    """Draw a figure and write it as SVG and PNG; the same records give the same bytes.

    Args:
        registry: holds the cards.
        results: the results directory.
        name: one of `FIGURES`.
        benchmark: of this benchmark; only `pairs` can do without, and then shows all that have records.
        folder: where the files are written.
        family: of this family; only `degree` takes it, and needs it.

    Raises:
        UserError: there is no such figure or benchmark, or nothing to draw.
        OSError: nothing can be written in the folder.
    """
    if name not in FIGURES:
        raise UserError(f"there is no figure '{name}'; {choice(name, FIGURES)}")
    card = registry.benchmark(benchmark) if benchmark is not None else None
    if (name == "degree") != (family is not None) or (card and family):
        of = "a family: write --family alone" if name == "degree" else "benchmarks, not of a family: leave --family out"
        raise UserError(f"the figure '{name}' is of {of}")
    require_writable(folder / "file")
    with styled():
        if family is not None:
            drawing = draw_degree(family, family_records(registry, results, family))
        else:
            drawing = _drawing(registry, results, name, card)
        of = f" --benchmark {card.short_name}" if card else f" --family {family}" if family else ""
        command = f"gcnnbench figure {name}{of}"
        caption = f"{drawing.caption} Made by: {command}."
        stem = f"{card.full_name}-{name}" if card else f"{family}-{name}" if family else name
        temporary = Store(results).temporary if folder.is_relative_to(results) else None
        paths = write_figure(drawing.figure, drawing.title, caption, folder / stem, temporary)
    return Drawn(tuple(paths), drawing.title, drawing.caption, drawing.alt, command)


def _drawing(registry: Registry, results: Path, name: str, card: BenchmarkCard | None) -> Drawing:
    if name == "pairs":
        boards, _ = leaderboard(registry, results, [card.short_name] if card else [])
        return draw_pairs(boards)
    if card is None:
        names = ", ".join(registry.benchmarks)
        raise UserError(f"the figure '{name}' is of one benchmark: add --benchmark with one of {names}")
    found = networks(registry, results, card)
    return draw_curve(card, found, read_claims(registry)) if name == "curve" else draw_relaxation(card, found)
