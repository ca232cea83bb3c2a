"""A report, and the comparison of two, as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence

from gcnnbench.escaping import markdown
from gcnnbench.formatting import NOTHING, how_many
from gcnnbench.layout import pipes
from gcnnbench.perf.report import Comparison, Measured, Report, Spread, Target


def report_as_markdown(report: Report) -> str:
    """All comparisons, then the targets, then where it was measured."""
    parts = [comparison_as_markdown(comparison) for comparison in report.comparisons]
    if report.targets:
        parts.append(_targets(report.targets))
    peak = f"; peak {report.peak / 1e9:,.0f} GFLOP/s ({report.peak_of or 'sgemm'})" if report.peak else ""
    threads = how_many(report.threads, "thread")
    where = f"{report.device}, {report.device_name}, {threads}; torch {report.versions.get('torch', '?')}{peak}"
    commit = f"commit {report.commit[:12]}{' with changes' if report.dirty else ''}; " if report.commit else ""
    notes = [
        "Time: ratio of medians to the reference (1.00), and the quartiles of the ratios of single rounds.",
        f"{where}.",
        f"{commit}{report.started}, {report.seconds:,.0f} s.",
    ]
    notes += [f"Not measured: {name}: {why}." for name, why in _missing(report.comparisons).items()]
    notes += [f"Missed: {_missed(target)}." for target in report.targets if target.met is False]
    if report.device == "cpu":
        notes.append("On a GPU: not measured.")
    return "\n\n".join([*parts, _list(notes)]) + "\n"


def comparison_as_markdown(comparison: Comparison) -> str:
    """One table: a row for each candidate."""
    counted = any(row.flops for row in comparison.rows)
    weighed = counted or any(row.memory is not None for row in comparison.rows)
    numbered = any(row.count is not None for row in comparison.rows)
    headers = ["candidate", "seconds", "time", "quartiles"]
    headers += [
        *(["count"] if numbered else []),
        *(["images/s"] if comparison.images else []),
        *(["GFLOP/s", "of peak"] if counted else []),
        *(["memory"] if weighed else []),
    ]
    rows = []
    for row in comparison.rows:
        cells = [row.name, _seconds(row), *_ratio(row.time, row.why)]
        if numbered:
            cells.append(f"{row.count:,.1f}" if row.count is not None else NOTHING)
        if comparison.images:
            cells.append(f"{comparison.images / row.seconds:,.0f}" if row.seconds else NOTHING)
        if counted:
            cells.append(f"{row.flops / 1e9:,.0f}" if row.flops else NOTHING)
            cells.append(f"{100 * row.share_of_peak:.0f}%" if row.share_of_peak else NOTHING)
        if weighed:
            cells.append(f"{row.memory / 2**20:,.0f} MiB" if row.memory is not None else NOTHING)
        rows.append(cells)
    rounds = len(next(row for row in comparison.rows if row.name == comparison.reference).rounds)
    align = "l" + "r" * (len(headers) - 1)
    table = pipes((headers, rows, align), roomy=True)
    return f"### {markdown(f'{comparison.section}: {comparison.title}')} ({rounds} rounds)\n\n{table}"


def compare_as_markdown(before: Report, after: Report) -> str:
    """Which candidates became slower or faster, in units of the reference, in which the machine has less say.

    A change is marked where the quartiles of the two reports do not overlap.
    """
    rows = []
    for comparison in after.comparisons:
        same = (comparison.section, comparison.title, comparison.reference)
        old = next((old for old in before.comparisons if (old.section, old.title, old.reference) == same), None)
        for row in comparison.rows if old else ():
            was = old.row(row.name) if old else None
            if was is None or was.time is None or row.time is None or row.name == comparison.reference:
                continue
            change = row.time.value / was.time.value
            mark = "slower" if row.time.low > was.time.high else "faster" if row.time.high < was.time.low else ""
            title = f"{comparison.section}: {comparison.title}"
            rows.append([title, row.name, f"{was.time.value:.2f}", f"{row.time.value:.2f}", f"{change:.2f}", mark])
    headers = ["work", "candidate", "A", "B", "B / A", ""]
    align = "llrrrl"
    if not rows:
        return "The two reports have no comparison in common.\n"
    table = pipes((headers, rows, align), roomy=True)
    notes = [f"{name}: {_origin(report)}" for name, report in (("A", before), ("B", after))]
    notes.append("A, B: time in units of the reference; marked where the quartiles of the rounds do not overlap.")
    if before.device_name != after.device_name:
        notes.append("The two were measured on different machines.")
    return "\n\n".join([table, _list(notes)]) + "\n"


def _list(notes: Sequence[str]) -> str:
    return "\n".join(f"- {markdown(note)}" for note in notes)


def _missing(comparisons: Sequence[Comparison]) -> dict[str, str]:
    """The candidates that could not run, each once, with the reason."""
    return {row.name: row.why for comparison in comparisons for row in comparison.rows if row.why}


def _missed(target: Target) -> str:
    found = f"{target.measured.value:.2f}" if target.measured else NOTHING
    return f"{target.text} is {found}, {target.better} {target.bound:g} is wanted"


def _targets(targets: tuple[Target, ...]) -> str:
    rows = []
    for target in targets:
        sign = {"at least": "≥", "at most": "≤"}[target.better]
        stretch = f" [{target.stretch:g}]" if target.stretch is not None else ""
        verdict = {True: "met", False: "missed", None: "not measured"}[target.met]
        rows.append([target.text, f"{sign} {target.bound:g}{stretch}", *_ratio(target.measured, None), verdict])
    headers = ["target", "bound [stretch]", "measured", "quartiles", ""]
    align = "lrrrl"
    table = pipes((headers, rows, align), roomy=True)
    return f"### Targets\n\n{table}"


def _origin(report: Report) -> str:
    commit = f"commit {report.commit[:12]}" if report.commit else "no commit"
    return f"{commit}{' with changes' if report.dirty else ''}, {report.device_name}, {report.started}"


def _ratio(found: Spread | None, why: str | None) -> list[str]:
    if found is None:
        return ["not measured" if why else NOTHING, NOTHING]
    return [f"{found.value:.2f}", f"{found.low:.2f}–{found.high:.2f}"]


def _seconds(row: Measured) -> str:
    return NOTHING if row.seconds is None else f"{row.seconds:.3g}"
