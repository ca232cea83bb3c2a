"""One card in full as text for people, with what was run and claimed beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import indent
from typing import TYPE_CHECKING, Any

from gcnnbench.cards.base import Described, Model, split_entry
from gcnnbench.cards.benchmark_card import PURPOSES, BenchmarkCard
from gcnnbench.cards.dataset_card import DatasetCard
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cli.fitting import fit_table
from gcnnbench.cli.output import columns
from gcnnbench.formatting import NOTHING, how_many
from gcnnbench.layout import WIDTH, pipes, wrapped
from gcnnbench.pages.protocol_text import protocol

if TYPE_CHECKING:
    from gcnnbench.cards.registry import Registry
    from gcnnbench.cli.card_background import CardBackground, ProtocolLine


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table as wide as the reader has it."""
    if not rows:
        return "none"
    cells = [[_cell(value) for value in row.values()] for row in rows]
    return fit_table(pipes((list(rows[0]), cells, "")).split("\n"), room())


def room() -> int:
    """The columns that a card is told in: those of the reader, at most 100, or 80 where nobody says."""
    return min(columns() or 80, WIDTH)


def describe(registry: Registry, kind: str, card: Described, known: CardBackground, size: int | None = None) -> str:
    """One card in full, with what was run and claimed, and the BibTeX of its sources; of a model also at one size."""
    lines = [wrapped(f"{card.title}  [{kind} {_version(card)}]", room()), "", wrapped(card.summary, room()), ""]
    if isinstance(card, ModelCard):
        lines += _facts(_model_facts(registry, card, size))
        lines += _section("run so far", _model_runs(card, known, size))
    elif isinstance(card, DatasetCard):
        lines += _facts(_dataset_facts(registry, card))
    elif isinstance(card, BenchmarkCard):
        lines += _facts(_benchmark_facts(registry, card))
        lines += _section("entries", _entry_rows(registry, card, known))
        lines += _section("claims on it", _claim_rows(card, known))
        lines += _texts("protocol, line by line", [_audited(line) for line in known.protocol])
    lines += _texts("deviations", getattr(card, "deviations", ()))
    assumptions = getattr(card, "assumptions", ())
    lines += _texts("assumptions", [f"{a.name} ({a.field}): {a.because}" for a in assumptions])
    lines += _texts("sources", [f"{s.key}: {s.where}" if s.where else s.key for s in card.sources])
    bibtex = [registry.bibliography[key] for key in dict.fromkeys(source.key for source in card.sources)]
    return "\n".join([*lines, *(f"\n{entry}" for entry in bibtex)])


def _model_facts(registry: Registry, card: ModelCard, size: int | None) -> Iterator[tuple[str, str]]:
    if size is not None:
        unsaid = f"nothing stated; measure it: gcnnbench audit {card.name}@{size}"
        yield f"at {size}", "no symmetry" if card.group == "trivial" else card.claim_at(size) or unsaid
    yield "group", card.group
    if card.group != "trivial":
        yield "exact at", _cell(card.exact_at) or "no size stated"
        yield "approximate at", _cell(card.approximate_at) or "no size stated"
        if card.learnt_at:
            yield "learnt at", _cell(card.learnt_at)
    yield "smallest size", str(card.smallest_size or "")
    yield "hyperparameters", _cell(card.hyperparameters)
    for count in card.parameters:
        said = f" (published: {count.published:,})" if count.published else ""
        macs = f"; {count.macs:,} MACs an image" if count.macs else ""
        where = f"{count.channels}×{count.size}×{count.size} -> {count.classes}"
        yield "parameters", f"{count.count:,} for {where}{said}{macs}"
    yield "requires", _cell(card.requires)
    yield "authors", _cell(card.authors)
    yield "licence", card.licence
    yield "citation", card.citation or ""
    yield "trained on", card.trained_on or ""
    entered = [
        f"{benchmark.full_name} ({', '.join(entries)})"
        for benchmark in registry.benchmarks.values()
        if (entries := [entry for entry in benchmark.entries if _names(entry, card, size)])
    ]
    yield "entered in", ", ".join(entered)
    yield "card", str(registry.paths["model", card.name])


def _model_runs(card: ModelCard, known: CardBackground, size: int | None) -> list[dict[str, Any]]:
    return [
        {
            "benchmark": run.benchmark,
            "entry": run.entry,
            "seeds": list(run.seeds),
            "parameters": run.parameters,
            "MACs": run.macs,
        }
        for run in known.runs
        if _names(run.entry, card, size)
    ]


def _names(entry: str, card: ModelCard, size: int | None) -> bool:
    """Whether an entry is this model, at this size where one is asked for."""
    return split_entry(entry)[0] == card.name and size in (None, split_entry(entry)[1])


def _entry_rows(registry: Registry, card: BenchmarkCard, known: CardBackground) -> list[dict[str, Any]]:
    seeds = {run.entry: run.seeds for run in known.runs if run.benchmark == card.full_name}
    rows = []
    for entry in card.entries:
        slug, size = split_entry(entry)
        model = registry.model(slug)
        said = model.claim_at(size) or NOTHING
        row = {"entry": entry, "group": model.group, "equivariance": said, "seeds run": list(seeds.get(entry, ()))}
        rows.append({**row, "spec": (known.digests[entry] or "of the copy")[:12]})
    return rows


def _claim_rows(card: BenchmarkCard, known: CardBackground) -> list[dict[str, Any]]:
    return [
        {"claim": f"{claim.source}: {claim.id}", "quantity": claim.quantity, "printed": claim.printed}
        for claim in known.claims
        if claim.benchmark == card.name
    ]


def _audited(line: ProtocolLine) -> str:
    """One line of a protocol table in a sentence."""
    known = f"; known from {line.evidence}" if line.evidence else ""
    assumed = f"; assumption {line.assumption}" if line.assumption else ""
    source = line.source if line.followed else f"{line.source}, not followed"
    return f"{line.item} ({source}): {line.says} – here: {line.suite}{known}{assumed}"


def _section(title: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return ["", f"{title}:", table(rows)]


def _dataset_facts(registry: Registry, card: DatasetCard) -> Iterator[tuple[str, str]]:
    yield (
        "images",
        f"{card.channels}×{card.size}×{card.size} {card.pixels}, {how_many(card.classes, 'class', 'classes')}",
    )
    yield "orientation", card.orientation or ""
    for name, part in card.parts.items():
        digest = f"sha256 {part.digest[:16]}…" if part.digest else "digest recorded when first read"
        yield f"part {name}", f"{how_many(part.images, 'image')}, {digest}"
    using = [benchmark.full_name for benchmark in registry.benchmarks.values() if benchmark.dataset == card.name]
    yield "benchmarks", ", ".join(using)
    yield "download", f"{card.download_bytes:,} bytes; {card.disk_bytes:,} on disk"
    yield "files", _cell([file.path for file in card.files])
    yield "by hand", card.by_hand or ""
    yield "licence", card.licence


def _benchmark_facts(registry: Registry, card: BenchmarkCard) -> Iterator[tuple[str, str]]:
    yield "purpose", PURPOSES[card.purpose] if card.purpose else ""
    yield "data set", card.dataset
    yield from protocol(card, registry.dataset(card.dataset))
    yield "card", str(registry.paths["benchmark", card.short_name])


def _facts(facts: Iterator[tuple[str, str]]) -> list[str]:
    """Names and values in two columns, folded; what is empty is left out."""
    pairs = [(name, value) for name, value in facts if value]
    width = max(len(name) for name, _ in pairs) + 2
    lines = []
    for name, value in pairs:
        folded = wrapped(value, max(20, room() - width))
        lines.append(name.ljust(width) + indent(folded, " " * width)[width:])
    return lines


def _texts(title: str, texts: Sequence[str]) -> list[str]:
    if not texts:
        return []
    return ["", f"{title}:", *(wrapped(text, room(), "  ", "- ") for text in texts)]


def _version(card: Described) -> str:
    if isinstance(card, ModelCard):
        return f"{card.name}, version {card.model_version}"
    return card.full_name if isinstance(card, BenchmarkCard) else card.name


def _cell(value: Any) -> str:
    """A value in a line: lists with commas, mappings as `key value`."""
    if isinstance(value, Model):
        value = value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_cell(inner)}" for key, inner in value.items()) or "nothing"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(inner) for inner in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)
