"""Boards for readers: Markdown that fits 100 columns, and LaTeX with booktabs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from gcnnbench import formatting
from gcnnbench.escaping import latex, latex_comment, markdown
from gcnnbench.formatting import how_many
from gcnnbench.layout import WIDTH, Table, bullets, folded, pipes, width
from gcnnbench.leaderboard.board import ACCURACIES, Board, Row, heading
from gcnnbench.leaderboard.folds import FOLDS_CAPTION, folds_table
from gcnnbench.leaderboard.notes import machines, notes
from gcnnbench.leaderboard.weights_only import WEIGHTS_ONLY_CAPTION, weights_only_table
from gcnnbench.statistics import Summary

RANKED_ELSEWHERE = {"accuracy.seen", "auc"}
REASONS = ("failed", "unusable", "stale", "limited")
"""Why a row has no numbers; the note below says it in full."""
SHORT = {"approximate": "approx.", "equivariance": "equiv.", "curve mean": "curve"}


def as_markdown(boards: Sequence[Board], *, wide: bool = False, top: int | None = None) -> str:
    """The tables of each board with their notes; at most 100 columns wide unless `wide`.

    With `top` only so many rows of the first table, without the other tables and notes.
    """
    if top is not None:
        return "\n".join(_top(board, wide, top) for board in boards)
    return "\n".join(_markdown(board, wide) for board in boards)


def as_latex(boards: Sequence[Board], *, wide: bool = False) -> str:
    """The same tables for LaTeX; they need the package booktabs."""
    return "\n".join(_latex(board, wide) for board in boards)


def _markdown(board: Board, wide: bool) -> str:
    parts = [f"## {markdown(f'{board.benchmark}: {board.title}')}"]
    parts += [folded(f"**Finding.** {finding}") for finding in board.findings]
    parts += [folded(caption(board)), _fitting(board, wide)]
    for text, table in _further_tables(board, wide):
        parts += [*([folded(text)] if text else []), pipes(table)]
    parts.append(bullets(notes(board)))
    return "\n\n".join(parts) + "\n"


def _top(board: Board, wide: bool, top: int) -> str:
    shown = replace(board, rows=board.rows[:top])
    some = f"{len(shown.rows)} of {how_many(len(board.rows), 'row')}, without pairs and notes"
    more = f"{some}; all: gcnnbench leaderboard {board.benchmark}"
    parts = [f"## {markdown(f'{board.benchmark}: {board.title}')}", folded(caption(board)), _fitting(shown, wide)]
    return "\n\n".join([*parts, folded(more)]) + "\n"


def _latex(board: Board, wide: bool) -> str:
    tables = [(caption(board), _accuracies(board, wide)), *_further_tables(board, wide)]
    lines = [latex_comment(f"{board.benchmark}: {board.title}; needs \\usepackage{{booktabs}}")]
    for text, (headings, rows, alignment) in tables:
        title = [f"\\caption{{{latex(text)}}}"] if text else []
        lines += ["\\begin{table}", "\\centering", *title, *_booktabs(headings, rows, alignment), "\\end{table}"]
    lines += [latex_comment(note) for note in notes(board)]
    lines += [latex_comment(f"FINDING: {finding}") for finding in board.findings]
    return "\n".join(lines) + "\n"


def _further_tables(board: Board, wide: bool) -> Iterator[tuple[str, Table]]:
    """The tables below the accuracies, each with its caption; that of the networks needs none."""
    yield "", _networks(board, wide)
    if board.cross_tested:
        yield FOLDS_CAPTION, folds_table(board)
    if board.pairs:
        yield pairs_caption(board), _contrasts(board)
    if board.weights_only:
        yield WEIGHTS_ONLY_CAPTION, weights_only_table(board.weights_only)


def pairs_caption(board: Board) -> str:
    """What the numbers of the pair table are."""
    test = "Student's 95% interval over the folds of both" if board.cross_tested else "Welch's 95% interval"
    return (
        f"Exact − approximate network of one architecture, in percentage points; {test} and p, "
        "and p adjusted over all pairs of the benchmark for one metric (Holm)."
    )


def caption(board: Board) -> str:
    """What the numbers of the first table are."""
    return (
        f"Accuracies in per cent: mean ± sample standard deviation (ddof = 1) over n seeds; ranked by {board.rank_by}."
    )


def _fitting(board: Board, wide: bool) -> str:
    """The accuracy table, its words and then its cells shortened until it fits."""
    made = pipes(_accuracies(board, wide))
    if not wide and width(made) > WIDTH:
        made = pipes(_shortened(_accuracies(board, wide)))
    if not wide and width(made) > WIDTH:
        made = pipes(_shortened(_accuracies(board, wide, tight=True)))
    return made


def _accuracies(board: Board, wide: bool, tight: bool = False) -> Table:
    names = _columns(board, wide)
    headings = ["#", "entry", "equivariance", "n"]
    headings += [heading(name) for name in names]
    rows = []
    for row in board.rows:
        n = str(len(row.seeds)) if not row.missing else f"{len(row.seeds)}/{board.protocol_seeds}"
        rank = f"{row.rank}{' =' if row.tied else ''}" if row.rank else formatting.NOTHING
        metrics = [_accuracy(row, row.metrics.get(name), wide, tight) for name in names]
        rows.append([rank, _named(board, row), _symmetry(row), n, *metrics])
    return headings, rows, "lllr" + "r" * len(names)


def _symmetry(row: Row) -> str:
    """The verdict, or for a network that learns how symmetric it is the invariance error after training."""
    found = row.metrics.get("invariance_error")
    return f"learnt ({found.mean:.2g})" if row.learnt and found else "learnt" if row.learnt else row.equivariance


def _columns(board: Board, wide: bool) -> list[str]:
    if wide:
        found = dict.fromkeys(name for row in board.rows for name in row.metrics)
        some = [name for name in found if any(row.metrics.get(name) for row in board.rows)]
        return [name for name in some if name.startswith("accuracy.") or name == "auc"] or list(ACCURACIES)
    return [*ACCURACIES, board.rank_by] if board.rank_by in RANKED_ELSEWHERE else list(ACCURACIES)


def _accuracy(row: Row, found: Summary | None, wide: bool, tight: bool) -> str:
    if found is not None:
        return formatting.percent(found, wide=wide, tight=tight)
    if row.seeds:
        return formatting.NOTHING
    return next((word for word in REASONS if any(lack.why.startswith(word) for lack in row.missing)), "not run")


def _networks(board: Board, wide: bool) -> Table:
    with_auc = board.rank_by != "auc" and any(row.metrics.get("auc") for row in board.rows)
    headings = ["entry", "group", "parameters", "inv. error", "flips %", "images/s", "on"]
    if with_auc:
        headings.insert(3, "AUC %")
    letters = machines(board)
    rows = []
    for row in board.rows:
        flips = row.metrics.get("flips")
        network = [_named(board, row), row.group, formatting.count(row.parameters)]
        network += [_accuracy(row, row.metrics.get("auc"), wide, False)] if with_auc else []
        network += [formatting.error(row.metrics.get("invariance_error"), wide=wide)]
        network += [formatting.percent(flips, wide=wide) if flips else formatting.NOTHING]
        for speed in row.speeds:
            rows.append([*network, formatting.count(speed.test_images_per_second.mean), letters[speed.machine]])
            network = [""] * len(network)
        if not row.speeds:
            rows.append([*network, formatting.NOTHING, formatting.NOTHING])
    return headings, rows, "ll" + "r" * (len(headings) - 3) + "l"


def _contrasts(board: Board) -> Table:
    headings = ["exact − approx.", "metric", "n", "difference", "95% interval", "p", "p (Holm)"]
    rows = []
    for pair in board.pairs:
        name, nothing = pair.name, formatting.NOTHING
        if not pair.contrasts:
            why = pair.why_empty or "no metric"
            rows.append([name, nothing, nothing, "not run" if why.endswith("not run") else why, *[nothing] * 3])
        for found in pair.contrasts:
            metric = found.metric.removeprefix("accuracy.").removesuffix("_mean")
            numbers = [formatting.points(found.difference), formatting.interval(found.ci95)]
            numbers += [formatting.probability(p) for p in (found.p, found.p_holm)]
            rows.append([name, metric, found.seeds, *numbers])
            name = ""
    return headings, rows, "llrrrrr"


def _named(board: Board, row: Row) -> str:
    """The entry, with its numeric mode where the board has it in several."""
    return f"{row.entry} ({row.numeric_mode})" if board.in_several_modes(row.entry) else row.entry


def _shortened(table: Table) -> Table:
    headings, rows, alignment = table
    return (
        [SHORT.get(text, text) for text in headings],
        [[SHORT.get(text, text) for text in row] for row in rows],
        alignment,
    )


def _booktabs(headings: list[str], rows: list[list[str]], alignment: str) -> list[str]:
    """A table for LaTeX's booktabs; its columns stand under one another in the source, too."""
    shown = [[latex(text) for text in row] for row in (headings, *rows)]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]

    def line(row: list[str]) -> str:
        padded = zip(row, widths, alignment, strict=True)
        return f" {' & '.join(text.ljust(n) if side == 'l' else text.rjust(n) for text, n, side in padded)} \\\\"

    body = [line(row) for row in shown]
    start, end = f"\\begin{{tabular}}{{{alignment}}}", "\\end{tabular}"
    return [start, "\\toprule", body[0], "\\midrule", *body[1:], "\\bottomrule", end]
