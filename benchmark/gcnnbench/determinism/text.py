"""The determinism audit as Markdown: what was compared, and what came of it."""

from __future__ import annotations

from gcnnbench.determinism.audit import Audit
from gcnnbench.determinism.float_noise import FACTOR
from gcnnbench.formatting import versions_text
from gcnnbench.layout import pipes


def audit_as_text(audit: Audit) -> str:
    """What ran, the table of differences, and what it means."""
    settings = "; ".join(f"{name}: {value}" for name, value in audit.flags.items())
    columns = ["entry", "threads", "batch", "repeats", "max |Δlogit|", "relative", "flips"]
    table = [
        [
            entry.entry,
            str(way.threads),
            str(way.batch_size),
            "same bits" if way.repeats else "OTHER BITS",
            f"{way.difference:.1e}",
            f"{way.relative:.1e}",
            str(way.flips),
        ]
        for entry in audit.entries
        for way in entry.variations
    ]
    training = [
        f"{entry.entry}: {entry.steps} training steps made twice give "
        f"{'the same bits' if entry.training_repeats else 'OTHER BITS'}; against float64: {entry.float64:.1e}"
        for entry in audit.entries
    ]
    noise = max(entry.noise for entry in audit.entries)
    meaning = (
        f"Differences are against one thread and batches of {audit.entries[0].variations[0].batch_size}. The largest "
        f"is {noise:.1e} of the logits' root mean square; records are re-scored with {FACTOR} times it as tolerance."
    )
    parts = [
        f"{audit.device}: {audit.device_name}\n{versions_text(audit.versions)}\n{settings}",
        pipes((columns, table, ""), roomy=True),
        "\n".join(training),
        meaning,
        "\n".join(f"PROBLEM  {problem}" for problem in audit.problems) or "No problem found.",
    ]
    return "\n\n".join(parts) + "\n"
