"""The audited zoo as a page of Markdown: claimed beside found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gcnnbench.equivariance import wording
from gcnnbench.formatting import NOTHING, float64_error, how_many
from gcnnbench.layout import pipes
from gcnnbench.zoo.auditing import DECIDED, EXACT, ZooRow
from gcnnbench.zoo.cards import Checkout, Entries, Formula, Package, ZooCard

HEADINGS = ["network", "size", "judged under", "claimed", "found", "error", "first break", "repair"]
READ: tuple[wording.Words, ...] = (
    "exact",
    "not proved; measured exact",
    "approximate",
    "not equivariant",
    "broken at every size",
)
MEANINGS = {word: wording.MEANINGS[word] for word in READ} | {
    "not exact": "said of networks that claim nothing",
    "not here": "the code is not on the machine that made this page",
}


def page(rows: Sequence[ZooRow]) -> str:
    """All rows as Markdown, one table a code base; the same rows give the same bytes."""
    parts = [
        "# The zoo: other people's networks, audited",
        "Networks of other people at the sizes that their sources used: what is claimed, and what `gcnnbench audit` "
        "finds there in float64, with random weights as the network draws them and drawn anew. Made by "
        "`gcnnbench audit --zoo --checkouts DIR --write docs/zoo.md` from the cards in "
        "[registry/zoo](../benchmark/gcnnbench/registry/zoo); `tox -e zoo` holds every verdict against a brute force "
        "that shares no code with the audit. On the pixel grid only quarter turns and mirrors act exactly, so a claim "
        "of a larger group is judged by those of its elements.",
        "\n".join(f"- {line}" for line in summary(rows)),
        "\n".join(f"- *{word}*: {meaning}" for word, meaning in MEANINGS.items()),
    ]
    for card, own in _by_card(rows):
        parts += [f"## {card.title}", f"{card.summary} {origin(card)}", _table(own)]
        parts += [_notes(own)] if _notes(own) else []
    return "\n\n".join(parts) + "\n"


def summary(rows: Sequence[ZooRow]) -> list[str]:
    """How many claims hold at the size at which they were made; the networks are those listed, and no sample."""
    networks = {(row.card.name, row.network.name) for row in rows}
    claimed = [row for row in rows if row.holds is not None]
    missing = [row for row in rows if row.verdict not in DECIDED]
    plain = [row for row in rows if row.network.claims == "nothing" and row.verdict in DECIDED]
    approximate = [row for row in rows if row.network.claims == "approximate" and row.verdict in DECIDED]
    lines = [
        f"{how_many(len(networks), 'network')}, {how_many(len(rows), 'row')}",
        f"of {how_many(len(claimed), 'row')} published as equivariant, {sum(row.holds or False for row in claimed)} "
        "exact at the size at which they were reported (all of those listed; they are no sample of the literature)",
        f"of {how_many(len(approximate), 'row')} broken by the size as their source says, "
        f"{sum(row.verdict not in EXACT for row in approximate)} broken",
        f"of {how_many(len(plain), 'row')} without a claim, {sum(row.verdict in EXACT for row in plain)} exact",
    ]
    return [*lines, f"{how_many(len(missing), 'row')} not decided, with the reason"] if missing else lines


def origin(card: ZooCard) -> str:
    """Where the code is from."""
    match card.origin:
        case Package(requires=requires):
            where = f"Package{'s' if len(requires) > 1 else ''} {', '.join(f'`{one}`' for one in requires)}"
        case Checkout(repository=repository, commit=commit):
            where = f"A clone of [{repository}](https://github.com/{repository}) at `{commit}`"
        case Formula(repository=repository, commit=commit):
            where = f"Re-implemented here from the formulae: the code, {repository} at `{commit}`, has no licence"
        case Entries():
            where = "Re-implemented in this suite, `models/`"
    return f"{where}; licence: {card.licence}."


def line(row: ZooRow) -> str:
    """A row in one line, for those who wait."""
    return f"{row.card.name}: {row.network.name} at {row.size}: {row.verdict}{_because(row)}"


def _because(row: ZooRow) -> str:
    return f" ({row.reason})" if row.reason else ""


def _by_card(rows: Sequence[ZooRow]) -> Iterator[tuple[ZooCard, list[ZooRow]]]:
    cards = {row.card.name: row.card for row in rows}
    for name, card in cards.items():
        yield card, [row for row in rows if row.card.name == name]


def _table(rows: Sequence[ZooRow]) -> str:
    return pipes((HEADINGS, [_cells(row) for row in rows], ""), roomy=True)


def _cells(row: ZooRow) -> list[str]:
    network = row.network
    claimed = network.claims if network.of is None else f"{network.claims} ({network.of})"
    broken = f"`{row.first_break}`" if row.first_break and row.verdict not in EXACT else NOTHING
    return [
        network.name,
        str(row.size),
        network.judged,
        claimed,
        f"{row.verdict}{_because(row)}",
        float64_error(row.error, 0),
        broken,
        row.repair or NOTHING,
    ]


def _notes(rows: Sequence[ZooRow]) -> str:
    wheres = dict.fromkeys((row.network.where, row.network.note) for row in rows)
    return "\n".join(f"- {where}{f': {note}' if note else ''}" for where, note in wheres)
