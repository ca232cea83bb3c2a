"""`list`, `show` and `schema`: what is registered, in tables and in full, and what a card may say."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gcnnbench.cli.options import Format, Include, OutputFormat, Results
from gcnnbench.cli.output import tell, tell_document
from gcnnbench.cli.written_files import file_to_write
from gcnnbench.cli.written_options import refuse_others
from gcnnbench.errors import UserError

if TYPE_CHECKING:
    from gcnnbench.cards.base import Model
    from gcnnbench.cards.registry import Registry


class CardFolder(StrEnum):
    """What can be listed."""

    models = "models"
    datasets = "datasets"
    benchmarks = "benchmarks"


class CardKind(StrEnum):
    """The kinds of cards."""

    model = "model"
    dataset = "dataset"
    benchmark = "benchmark"
    claims = "claims"


def list_cards(
    what: Annotated[CardFolder | None, typer.Argument(metavar="KIND", help="Only these.", show_default=False)] = None,
    *,
    write: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write all of them to a page of documentation.",
            show_default=False,
            callback=file_to_write,
        ),
    ] = None,
    include: Include,
    output: Format,
) -> None:
    """List the models, data sets and benchmarks of the registry."""
    from gcnnbench.cards.registry import Registry
    from gcnnbench.cli.card_lists import listing, summaries

    registry = Registry.load(include)
    if write is not None:
        refuse_others("with --write", "write")
        from gcnnbench.disk import write_whole
        from gcnnbench.pages.registry import page

        write_whole(write, page(registry).encode())
        typer.echo(f"wrote {write}", err=True)
        return
    tables = {
        card_files.value: summaries(registry, card_files.value) for card_files in ([what] if what else CardFolder)
    }
    if output is OutputFormat.json:
        tell_document(tables)
        return
    for name, rows in tables.items():
        tell(listing(name, rows) + "\n")


def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A model, data set or benchmark; SLUG@SIZE and NAME@VERSION will do.")
    ],
    *,
    results: Results,
    include: Include,
    output: Format,
) -> None:
    """Show one card as a reader wants it: what it is, where it comes from, what it assumes, what has been run."""
    from gcnnbench.cards.registry import Registry
    from gcnnbench.cli.card_background import background_of
    from gcnnbench.cli.cards import describe

    registry = Registry.load(include)
    kind, card = _card(registry, name)
    size = _size(registry, name) if kind == "model" else None
    known = background_of(registry, card, results)
    if output is OutputFormat.json:
        told = {
            "kind": kind,
            "card": card.model_dump(mode="json", exclude_none=True),
            "bibtex": {source.key: registry.bibliography[source.key] for source in card.sources},
            **asdict(known),
        }
        if size is not None:
            told |= {"size": size, "equivariance": card.claim_at(size)}
        tell_document(told, advise=False)
    else:
        tell(describe(registry, kind, card, known, size))


def schema(
    kind: Annotated[
        CardKind | None, typer.Argument(metavar="KIND", help="The kind of card; else all.", show_default=False)
    ] = None,
) -> None:
    """Print the JSON Schema of a kind of card, for editors that complete and check YAML."""
    from gcnnbench.cards.reading import CARD_KINDS
    from gcnnbench.claims.claims import ClaimsCard

    kinds: dict[str, type[Model]] = {**CARD_KINDS, "claims": ClaimsCard}
    schemas: dict[str, Any] = {
        name: {"$schema": "https://json-schema.org/draft/2020-12/schema", **card.model_json_schema()}
        for name, card in kinds.items()
    }
    tell_document(schemas[kind.value] if kind else schemas)


def _size(registry: Registry, name: str) -> int | None:
    """The size in SLUG@SIZE of a model; none where it is a slug.

    Raises:
        UserError: it is no size, or the network does not take it.
    """
    from gcnnbench.cards.base import split_entry

    if "@" not in name:
        return None
    try:
        slug, size = split_entry(name)
    except ValueError as error:
        raise UserError(str(error)) from None
    if wrong := registry.model(slug).too_small(size):
        raise UserError(wrong)
    return size


def _card(registry: Registry, name: str) -> tuple[str, Any]:
    """The card of that name and its kind.

    Raises:
        UserError: there is none; several kinds may have it, then the benchmark comes first.
    """
    from difflib import get_close_matches

    plain = name.partition("@")[0]
    if plain in registry.benchmarks:
        return "benchmark", registry.benchmark(name)
    if plain in registry.models:
        return "model", registry.model(name)
    if plain in registry.datasets:
        if plain != name:
            raise UserError(f"'{name}': a data set has neither size nor version; write {plain}")
        return "dataset", registry.dataset(plain)
    every = [*registry.benchmarks, *registry.models, *registry.datasets]
    near = get_close_matches(plain, every, n=1)
    raise UserError(f"there is no card '{name}'; {f'did you mean {near[0]}?' if near else 'see: gcnnbench list'}")
