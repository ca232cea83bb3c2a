"""The page of a results directory: every table, figure and verdict under the command that makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from gcnnbench.cards.registry import Registry
from gcnnbench.claims.evidence import gather
from gcnnbench.claims.judging import judge_claims
from gcnnbench.claims.reading import read_claims
from gcnnbench.claims.summary import summary_text
from gcnnbench.claims.text import claims_as_markdown
from gcnnbench.escaping import markdown
from gcnnbench.figures.gallery import Drawn, draw
from gcnnbench.layout import folded
from gcnnbench.leaderboard.board import Board
from gcnnbench.leaderboard.regret import as_markdown as regrets_as_markdown
from gcnnbench.leaderboard.regret import regret_table
from gcnnbench.leaderboard.text import as_markdown

PAGE = "README.md"
FIGURES = "figures"
"""The folder below the results directory that holds the figures made from it."""
UNDECIDED = ("not run", "not covered", "not comparable")

TEMPLATE = """\
# Results

{{ "Made from the records in this folder by `gcnnbench leaderboard --write`; nothing on this page or in `tables/` and \
`figures/` is typed by hand. Each part stands under the command that makes it alone, and `gcnnbench explain BENCHMARK \
ENTRY METRIC` leads from any number to its records. `gcnnbench verify records` recomputes them all."|folded }}
{% for section in sections %}
{{ section.table }}
Made by `gcnnbench leaderboard {{ section.name }}`.
{% for figure in section.figures %}
{{ figure|shown }}
{% endfor -%}
{% endfor %}
{% for name, table, figures in families -%}
## Regret: {{ name }}

{{ table }}
Made by `gcnnbench regret {{ name }}`.
{% for figure in figures %}
{{ figure|shown }}
{% endfor -%}

{% endfor -%}
{% if pairs -%}
## Exact minus approximate, over all benchmarks

{{ pairs|shown }}

{% endif -%}
## Published numbers

{{ counts|folded }}

{{ "Made by `gcnnbench verify claims`, which also lists what is not run, not covered and not comparable, and \
why. Those with a verdict:"|folded }}

{{ claims }}"""


@dataclass(frozen=True)
class Section:
    """One benchmark's part of the page."""

    name: str
    table: str
    figures: tuple[Drawn, ...]


def page(
    registry: Registry,
    results: Path,
    boards: Sequence[Board],
    folder: Path,
    each: Callable[[Sequence[Board]], Iterable[Board]] = iter,
) -> str:
    """The page as Markdown, after drawing its figures; the same records give the same bytes.

    Args:
        registry: holds the cards.
        results: the results directory.
        boards: all its boards.
        folder: where the figures are written; the page names them as if it were `figures/` beside it.
        each: goes through the boards, as a bar that shows how far it is.
    """

    def figures(board: Board) -> tuple[Drawn, ...]:
        name = registry.benchmark(board.benchmark).short_name
        if not any(row.seeds for row in board.rows):  # networks that came trained have no record to draw
            return ()
        return tuple(draw(registry, results, figure, name, folder) for figure in ("curve", "relaxation"))

    rows = judge_claims(registry, read_claims(registry), gather(registry, results))
    paired = any(pair.contrasts for board in boards for pair in board.pairs)
    environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    environment.filters |= {"folded": folded, "shown": _shown}
    return environment.from_string(TEMPLATE).render(
        sections=[
            Section(registry.benchmark(board.benchmark).short_name, as_markdown([board]), figures(board))
            for board in each([board for board in boards if board.has_runs])
        ],
        families=_regrets(registry, results, boards, folder),
        pairs=draw(registry, results, "pairs", None, folder) if paired else None,
        counts=summary_text(rows),
        claims=claims_as_markdown([row for row in rows if row.verdict not in UNDECIDED]).replace("## ", "### "),
    )


def _regrets(
    registry: Registry, results: Path, boards: Sequence[Board], folder: Path
) -> list[tuple[str, str, list[Drawn]]]:
    """The regret table of every family that has one, and where symmetry was learnt the figure of it."""
    cards = [registry.benchmark(board.benchmark) for board in boards if board.has_runs]
    found = []
    for family in sorted({card.family for card in cards if card.family}):
        table = regret_table(registry, results, family)
        if not table.rows:
            continue
        learnt = any(row.learnt for row in table.rows)
        figures = [draw(registry, results, "degree", None, folder, family)] if learnt else []
        found.append((family, regrets_as_markdown(table), figures))
    return found


def _shown(figure: Drawn) -> str:
    """An image that leads to its own file, its caption and its command."""
    (name,) = (path.name for path in figure.files if path.suffix == ".svg")
    caption = folded(f"*{figure.title}.* {figure.caption}")
    return f"![{markdown(figure.alt)}]({FIGURES}/{name})\n\n{caption}\n\nMade by `{figure.command}`."
