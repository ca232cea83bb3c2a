"""The leaderboard as one HTML file: tables, charts, claims, cards and, behind every number, the records it is made of.

The file needs no server and no network. It is readable without JavaScript; with it, DataTables sorts, and filters,
permalinks and explanations work. A content security policy allows the two scripts and the style sheet inside by their
digests and nothing else, so that no text of a card or record can run.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from gcnnbench import __version__, formatting
from gcnnbench.cards.registry import Registry
from gcnnbench.claims.claims import ClaimsCard
from gcnnbench.claims.evidence import gather
from gcnnbench.claims.judging import judge_claims
from gcnnbench.claims.reading import read_claims
from gcnnbench.claims.rows import ClaimRow
from gcnnbench.claims.summary import summary_text
from gcnnbench.data.copies import on_copies
from gcnnbench.figures.networks import networks_of
from gcnnbench.leaderboard.board import Board
from gcnnbench.leaderboard.export import as_csv, board_data
from gcnnbench.leaderboard.folds import FOLDS_CAPTION
from gcnnbench.leaderboard.records import StoredRecord, all_records
from gcnnbench.leaderboard.tables import leaderboard
from gcnnbench.leaderboard.weights_only import WEIGHTS_ONLY_CAPTION
from gcnnbench.outside_text import as_text
from gcnnbench.pages import views
from gcnnbench.pages.charts import MOST, curve_charts, error_charts, numbered, readings
from gcnnbench.pages.lineage import Lineage

PAGE = "index.html"
TEMPLATES = resources.files("gcnnbench.pages") / "templates"
SCRIPTS = ("vendor/datatables-3.1.5.min.js", "leaderboard.js")
STYLE = "leaderboard.css"


def site(registry: Registry, results: Path, each: Callable[[Sequence[Board]], Iterable[Board]] = iter) -> str:
    """The page as HTML; the same cards and records give the same bytes.

    Args:
        registry: holds the cards.
        results: the results directory.
        each: goes through the boards, as a bar that shows how far it is.

    Raises:
        UserError: no benchmark has an official record, or a card of claims is wrong.
    """
    registry = on_copies(registry, results)
    boards = [board for board in leaderboard(registry, results)[0] if board.has_runs]
    cards = read_claims(registry)
    claims = judge_claims(registry, cards, gather(registry, results))
    older: dict[str, Sequence[ClaimRow]] = {}
    for board in boards:
        at = registry.at(registry.benchmark(board.benchmark))
        if at is not registry and at != registry:
            older[board.benchmark] = judge_claims(at, cards, gather(at, results))
    return page(registry, boards, all_records(registry, results), cards, claims, older, each)


def page(
    registry: Registry,
    boards: Sequence[Board],
    kept: Mapping[str, Sequence[StoredRecord]],
    published: Sequence[ClaimsCard],
    claims: Sequence[ClaimRow],
    older: Mapping[str, Sequence[ClaimRow]],
    each: Callable[[Sequence[Board]], Iterable[Board]] = iter,
) -> str:
    """The page of what has been read.

    Args:
        registry: holds the cards.
        boards: the boards that are shown.
        kept: the records of each benchmark, by `name@version`.
        published: the claims cards, whose curves are drawn.
        claims: the claims with their verdicts.
        older: the same on superseded benchmarks, by `name@version`.
        each: goes through the boards, as a bar that shows how far it is.
    """
    lineage, shown = Lineage(), []
    for board in each(boards):
        card = registry.benchmark(board.benchmark)
        lineage.add(board, card, kept[card.full_name], older.get(card.full_name, claims))
        drawn = [network for network in networks_of(registry.at(card), card, kept[card.full_name]) if network.records][
            :MOST
        ]
        shown.append(
            views.board(board, card, registry, [list(curve_charts(card, drawn, published)), list(error_charts(drawn))])
        )
    groups = views.groups(shown, registry)
    charts = [chart for group in groups for view in group.boards for found in view.charts for chart in found]
    axes = numbered(charts)
    return _rendered(
        groups=groups,
        axes=axes,
        columns=views.columns(shown),
        choices=views.choices(shown),
        pairs=views.gaps(groups),
        claims=claims,
        verdicts=summary_text(claims),
        networks=views.networks(registry, boards, [one for found in kept.values() for one in found]),
        bibliography=registry.bibliography,
        data=_compressed(
            json.dumps(
                {
                    "frame": [board_data(board) for board in boards],
                    "lineage": lineage.document(),
                    "readings": readings(charts, axes),
                },
                ensure_ascii=False,
                allow_nan=False,
                separators=(",", ":"),
            )
        ),
        csv=_compressed(as_csv(boards)),
        captions={"folds": FOLDS_CAPTION, "weights-only": WEIGHTS_ONLY_CAPTION},
        version=__version__,
        records=sum(len(row.seeds) for board in boards for row in board.rows),
    )


def _rendered(**values: Any) -> str:
    environment = Environment(
        loader=FunctionLoader(_template),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=_fit,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "percent": formatting.percent,
        "share": formatting.share,
        "points": formatting.points,
        "interval": formatting.interval,
        "probability": formatting.probability,
        "count": formatting.count,
        "error": formatting.error,
    }
    scripts = [(TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS]
    style = (TEMPLATES / STYLE).read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"script-src {' '.join(map(_digest, scripts))}; style-src {_digest(style)}"
    )
    return environment.get_template("leaderboard.html.j2").render(
        scripts=[Markup(script) for script in scripts], style=Markup(style), policy=policy, **values
    )


def _template(name: str) -> str:
    """A template without its indentation, which is for those who read templates."""
    return re.sub("(?m)^ +", "", (TEMPLATES / name).read_text(encoding="utf-8"))


def _fit(value: object) -> object:
    """Text of cards and records without control characters, marks that turn its direction, and the like."""
    return as_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _digest(content: str) -> str:
    """The source expression that allows this inline script or style sheet and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _compressed(text: str) -> Markup:
    """Text as a gzip file in base 64: digits of numbers in half the space, and none of it is markup."""
    return Markup(base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode())
