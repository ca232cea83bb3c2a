"""The page of documentation that lists what is registered, made from the cards."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gcnnbench.cards.base import Described
from gcnnbench.cards.benchmark_card import PURPOSES, BenchmarkCard
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cards.registry import Registry
from gcnnbench.claims.protocol_tables import ProtocolTable, read_protocols
from gcnnbench.escaping import markdown

PAGE = "docs/registry.md"
"""Where the page stands in the repository."""
_BIBTEX = re.compile(r"[{}]|\\(?=[&%$#_])")


def page(registry: Registry) -> str:
    """Models, data sets and benchmarks as Markdown tables; the same cards give the same bytes."""
    parts = [
        "# What is registered",
        f"Made from the cards by `gcnnbench list --write {PAGE}`; `gcnnbench show NAME` tells the rest of each.",
        "## Benchmarks",
        *_benchmark_groups(registry),
        "## Models",
        "Exact and approximate: the input sizes at which the network is exactly, or only approximately, equivariant. "
        "Parameters are those of the first configuration on the card.",
        _table(
            ("model", "what it is", "group", "exact at", "approximate at", "parameters", "source"), _models(registry)
        ),
        "## Data sets",
        _table(("data set", "what it is", "images", "size", "classes", "licence"), _datasets(registry)),
        "## Protocols, line by line",
        "What each source with published numbers says of its protocol, beside what this suite does. A line without "
        "evidence is an assumption by name. `gcnnbench show BENCHMARK` prints the lines of one benchmark; the tests "
        "compare first weights, layers, parameters and learning rates with the source's for every entry.",
        "Every source with claims has a table: for each benchmark that its claims name, or, where they name none, for "
        "those that take their recipe from it; where none does, for the benchmark nearest to it. One whose released "
        "weights are scored has a table for a benchmark on those images.",
        *_protocols(registry),
        "## Sources",
        "\n".join(f"- `{key}`: {_title(entry)}" for key, entry in sorted(registry.bibliography.items())),
    ]
    return "\n\n".join(parts) + "\n"


def _benchmark_groups(registry: Registry) -> Iterable[str]:
    """The benchmarks by what they are for: a heading and a table for each group."""
    headings = ("benchmark", "what it is", "data set", "ranked by", "seeds", "entries")
    for purpose, words in PURPOSES.items():
        cards = [card for card in registry.benchmarks.values() if card.purpose == purpose]
        if cards:
            yield f"### Benchmarks {words}"
            yield _table(headings, _benchmarks(cards))


def _benchmarks(cards: Iterable[BenchmarkCard]) -> Iterable[Sequence[str]]:
    for card in cards:
        link = f"[{card.full_name}](../benchmark/gcnnbench/registry/benchmarks/{card.name}.yaml)"
        entries = ", ".join(f"`{entry}`" for entry in card.entries)
        yield link, markdown(card.title), f"`{card.dataset}`", f"`{card.rank_by}`", str(card.seeds), entries


def _models(registry: Registry) -> Iterable[Sequence[str]]:
    for card in registry.models.values():
        approximate = ", ".join([*map(str, card.approximate_at), *(f"{size} (learnt)" for size in card.learnt_at)])
        exact = ", ".join(map(str, card.exact_at))
        link = f"[{card.name}](../models/{card.name}/model.yaml)"
        yield link, markdown(card.title), card.group, exact, approximate, _parameters(card), _sources(card)


def _datasets(registry: Registry) -> Iterable[Sequence[str]]:
    for card in registry.datasets.values():
        images = ", ".join(f"{name} {part.images:,}" for name, part in card.parts.items())
        size = f"{card.channels}×{card.size}×{card.size}"
        link = f"[{card.name}](../datasets/{card.name}/dataset.yaml)"
        yield link, markdown(card.title), images, size, str(card.classes), markdown(card.licence)


def _protocols(registry: Registry) -> Iterable[str]:
    for card in read_protocols(registry):
        for table in card.tables:
            yield from _protocol(card.source, table)


def _protocol(source: str, table: ProtocolTable) -> Iterable[str]:
    """One protocol table under its heading."""
    yield f"### {markdown(table.title)} (`{source}`): {', '.join(table.benchmarks)}"
    if table.not_followed is not None:
        yield f"Not followed: {markdown(table.not_followed)}."
    rows = (
        (
            line.item + (f" ({', '.join(line.of)})" if line.of else ""),
            markdown(line.says),
            markdown(line.suite),
            f"`{markdown(line.evidence)}`" if line.evidence else "",
            f"`{line.assumption}`" if line.assumption else "",
        )
        for line in table.lines
    )
    yield _table(("item", "the source says", "this suite", "evidence", "assumption"), rows)


def _parameters(card: ModelCard) -> str:
    first = card.parameters[0]
    return f"{first.count:,}" + (" (as published)" if first.published == first.count else "")


def _sources(card: Described) -> str:
    return ", ".join(f"`{source.key}`" for source in card.sources)


def _title(bibtex: str) -> str:
    """The title of a source, without BibTeX's braces and escapes."""
    line = next(line for line in bibtex.splitlines() if line.strip().startswith("title"))
    return markdown(_BIBTEX.sub("", line.partition("=")[2].strip().strip(",")))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose cells are Markdown: links and code of names, and text that was escaped."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
