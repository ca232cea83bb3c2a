"""A passport for people: a section of a model card in Markdown, and a badge."""

from __future__ import annotations

import json
from html import escape

from gcnnbench.equivariance.wording import MEANINGS, Words, legend
from gcnnbench.escaping import markdown
from gcnnbench.formatting import NOTHING, float64_error, how_many, ranges
from gcnnbench.layout import pipes
from gcnnbench.outside_text import as_line
from gcnnbench.passport.passport import Passport

EXACT, BROKEN, OPEN = "#0060a8", "#a83c00", "#595959"
COLOURS: dict[Words, str] = {
    "exact": EXACT,
    "not proved; measured exact": EXACT,
    "approximate": BROKEN,
    "not equivariant": BROKEN,
    "broken at every size": BROKEN,
    "unknown": OPEN,
    "inapplicable": OPEN,
    "contradictory": OPEN,
}


def card_section(found: Passport) -> str:
    """The section *Equivariance* of a model card."""
    audit = found.audit
    parts = [
        "## Equivariance",
        f"`{markdown(audit.network)}` under {audit.group}, {how_many(audit.channels, 'channel')}, measured in float64 "
        "with the weights as given and drawn anew (`gcnnbench audit`).",
        _table(
            ["size", "verdict", "error", "first break", "repair"],
            [
                [
                    str(page.row.size),
                    page.verdict,
                    float64_error(page.row.error),
                    page.row.first_break or NOTHING,
                    "; ".join(page.repairs) or NOTHING,
                ]
                for page in found.pages
            ],
        ),
        "\n".join(f"- {markdown(line)}" for line in legend(found.audit, [page.verdict for page in found.pages])),
    ]
    if found.arithmetic:
        parts += [
            f"Where exactness survives, at {found.arithmetic_size} pixels: the error of the output, and what rounding "
            "stays below.",
            _table(
                ["arithmetic", "verdict", "error", "bound", "distance to float64"],
                [
                    [one.name, one.survival, *(float64_error(value) for value in (one.error, one.bound, one.distance))]
                    for one in found.arithmetic
                ],
            ),
        ]
        parts += [f"{one.name}: {markdown(one.reason)}" for one in found.arithmetic if one.reason]
    weights = list(dict.fromkeys(page.weights for page in found.pages if page.weights))
    if len(weights) == 1:
        parts.append(f"Weights: sha256 `{weights[0]}`.")
    return "\n\n".join(parts) + "\n"


def badge_message(found: Passport) -> tuple[str, Words]:
    """What a badge says, and the verdict that gives its colour: the best one, in the order of `MEANINGS`."""
    sizes: dict[Words, list[int]] = {
        verdict: [page.row.size for page in found.pages if page.verdict == verdict] for verdict in MEANINGS
    }
    told: dict[Words, str] = {verdict: f"{verdict} at {ranges(here)}" for verdict, here in sizes.items() if here}
    return ", ".join(told.values()), next(iter(told))


def badge_json(found: Passport) -> str:
    """The badge as data, in the form of shields.io's endpoint badges."""
    message, verdict = badge_message(found)
    document = {
        "schemaVersion": 1,
        "label": f"{found.audit.group}-equivariant",
        "message": message,
        "color": COLOURS[verdict].lstrip("#"),
    }
    return json.dumps(document, indent=1) + "\n"


def badge_svg(found: Passport) -> str:
    """The badge as SVG, with its text also for screen readers."""
    message, verdict = badge_message(found)
    label = f"{found.audit.group}-equivariant"
    left, right = (10 + round(6.6 * len(text)) for text in (label, message))
    title = escape(as_line(f"{label}: {message}"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{title}">'
        f"<title>{title}</title>"
        f'<rect width="{left}" height="20" rx="3" fill="#444"/>'
        f'<rect x="{left}" width="{right}" height="20" rx="3" fill="{COLOURS[verdict]}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2:g}" y="14" textLength="{left - 10}">{escape(label)}</text>'
        f'<text x="{left + right / 2:g}" y="14" textLength="{right - 10}">{escape(message)}</text></g></svg>\n'
    )


def _table(headings: list[str], rows: list[list[str]]) -> str:
    return pipes((headings, rows, ""), roomy=True)
