"""Checks across cards: whether names, files, sizes, images and sources fit together in the registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.card_files import CardFiles, Kind, card_name
from gcnnbench.cards.dataset_card import DatasetCard
from gcnnbench.cards.elements import ELEMENTS
from gcnnbench.cards.messages import choice
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cards.reading import CardFile, Finding
from gcnnbench.formatting import how_many


def cross_check(card_files: CardFiles) -> Iterator[Finding]:
    """Everything wrong between the cards of a card_files."""
    for model in card_files.models.values():
        yield from _file_errors("model", model)
        yield from _source_errors(model, card_files.bibliography)
        yield from _assumption_errors(model)
        yield from _entering_errors(model, card_files)
    for dataset in card_files.datasets.values():
        yield from _file_errors("dataset", dataset)
        yield from _source_errors(dataset, card_files.bibliography)
    for benchmark in (*card_files.benchmarks.values(), *card_files.superseded.values()):
        yield from _file_errors("benchmark", benchmark)
        yield from _source_errors(benchmark, card_files.bibliography)
        yield from _assumption_errors(benchmark)
        yield from _evaluation_errors(benchmark)
        yield from _entry_errors(benchmark, card_files)
        yield from _data_errors(benchmark, card_files)


AnyCard = CardFile[ModelCard] | CardFile[DatasetCard] | CardFile[BenchmarkCard]


def _file_errors(kind: Kind, file: AnyCard) -> Iterator[Finding]:
    """A card is named as its folder (or file) is, and its code stands beside it."""
    card, right = file.card, card_name(kind, file.path)
    name = card.full_name if isinstance(card, BenchmarkCard) and card.superseded_by is not None else card.name
    if name != right:
        where = "the file" if kind == "benchmark" else "the folder"
        yield file.error(("name",), f"'{name}' must be {right}, as {where} is called")
    if kind != "benchmark" and not (file.path.parent / f"{kind}.py").is_file():
        yield file.error((), f"{kind}.py is missing beside this card")


def _source_errors(file: AnyCard, bibliography: Mapping[str, str]) -> Iterator[Finding]:
    for index, source in enumerate(file.card.sources):
        if source.key not in bibliography:
            message = f"'{source.key}' is not in references.bib; {choice(source.key, sorted(bibliography))}"
            yield file.error(("sources", index, "key"), message)


def _assumption_errors(file: CardFile[ModelCard] | CardFile[BenchmarkCard]) -> Iterator[Finding]:
    """An assumption is about a value that stands in the same card."""
    names = [assumption.name for assumption in file.card.assumptions]
    for index, assumption in enumerate(file.card.assumptions):
        if assumption.name in names[:index]:
            yield file.error(("assumptions", index, "name"), f"{assumption.name} stands twice; name each once")
        here: Any = file.document.data
        for part in assumption.field.split("."):
            if not isinstance(here, Mapping) or part not in here:
                near = choice(part, list(here)) if isinstance(here, Mapping) and here else "take the rest out"
                message = f"'{assumption.field}' is no field of this card: '{part}' is not there; {near}"
                yield file.error(("assumptions", index, "field"), message)
                break
            here = here[part]


def _entering_errors(file: CardFile[ModelCard], card_files: CardFiles) -> Iterator[Finding]:
    """A model enters benchmarks that exist, each once, at sizes that its card knows and their images can have."""
    card = file.card
    names = [entering.benchmark for entering in card.enters or ()]
    for index, entering in enumerate(card.enters or ()):
        if entering.benchmark in names[:index]:
            message = f"{entering.benchmark} stands twice; give all its sizes in one place"
            yield file.error(("enters", index, "benchmark"), message)
        if entering.benchmark not in card_files.benchmarks:
            if ("benchmark", entering.benchmark) not in card_files.broken:
                message = f"there is no benchmark '{entering.benchmark}'; "
                message += choice(entering.benchmark, sorted(card_files.benchmarks))
                yield file.error(("enters", index, "benchmark"), message)
            continue
        benchmark = card_files.benchmarks[entering.benchmark].card
        dataset = card_files.datasets.get(benchmark.dataset)
        for place, size in enumerate(entering.sizes):
            message = _wrong_size(card, size)
            if not message and benchmark.input.resize == "none" and dataset is not None and dataset.card.size != size:
                message = f"{size} must be {dataset.card.size}: {benchmark.name} does not resize its images"
            if message:
                yield file.error(("enters", index, "sizes", place), message)


def _evaluation_errors(file: CardFile[BenchmarkCard]) -> Iterator[Finding]:
    """Seen elements belong to the group, and the metric that ranks is one that is measured."""
    card = file.card
    elements = ELEMENTS[card.evaluation.group]
    for index, element in enumerate(card.evaluation.seen):
        if element not in elements:
            message = f"{element} is no element of {card.evaluation.group}; one of {', '.join(elements)}"
            yield file.error(("evaluation", "seen", index), message)
    if "upright" not in card.evaluation.seen:
        yield file.error(("evaluation", "seen"), "upright is missing; training always sees upright images")
    if card.rank_by == "accuracy.unseen" and set(elements) <= set(card.evaluation.seen):
        yield file.error(("rank_by",), "no element is unseen here; rank by accuracy.orbit or accuracy.curve_mean")
    if card.rank_by == "auc" and not card.evaluation.auc:
        yield file.error(("rank_by",), "auc is not measured here; write auc: true in evaluation")


def _entry_errors(file: CardFile[BenchmarkCard], card_files: CardFiles) -> Iterator[Finding]:
    """Each entry has a card, which says what its size makes of the network."""
    for index, entry in enumerate(file.card.entries):
        slug, size = split_entry(entry)
        if slug not in card_files.models:
            if ("model", slug) not in card_files.broken:
                message = f"there is no model '{slug}'; {choice(slug, sorted(card_files.models))}"
                yield file.error(("entries", index), message)
            continue
        if message := _wrong_size(card_files.models[slug].card, size):
            yield file.error(("entries", index), message)


def _wrong_size(card: ModelCard, size: int) -> str:
    """Why a network cannot be entered at a size: it does not take it, or its card claims nothing of it."""
    if (reason := card.too_small(size)) is not None:
        return reason
    if card.group == "trivial" or size in card.claimed_at:
        return ""
    sizes = ", ".join(map(str, sorted(card.claimed_at)))
    return f"size {size} stands in none of exact_at, approximate_at, learnt_at of {card.name} ({sizes})"


def _data_errors(file: CardFile[BenchmarkCard], card_files: CardFiles) -> Iterator[Finding]:
    """Parts, counts, channels and sizes are those of the data set."""
    card = file.card
    if card.dataset not in card_files.datasets:
        if ("dataset", card.dataset) not in card_files.broken:
            message = f"there is no data set '{card.dataset}'; {choice(card.dataset, sorted(card_files.datasets))}"
            yield file.error(("dataset",), message)
        return
    dataset = card_files.datasets[card.dataset].card
    if dataset.channels not in (1, card.input.channels):
        message = (
            f"{card.input.channels} must be {dataset.channels}, as {dataset.name} has (only grey images are copied)"
        )
        yield file.error(("input", "channels"), message)
    if card.input.resize == "none":
        for index, entry in enumerate(card.entries):
            size = split_entry(entry)[1]
            if size != dataset.size:
                message = f"size {size} needs input.resize, for the images of {dataset.name} are {dataset.size} wide"
                yield file.error(("entries", index), message)
    for element, moved in (card.evaluation.labels or {}).items():
        if element not in ELEMENTS[card.evaluation.group]:
            message = f"{element} is no element of {card.evaluation.group}"
            yield file.error(("evaluation", "labels", element), message)
        if len(moved) != dataset.classes:
            message = f"{how_many(len(moved), 'class', 'classes')} named, and {dataset.name} has {dataset.classes}"
            yield file.error(("evaluation", "labels", element), message)
    if card.evaluation.auc and dataset.classes != 2:
        yield file.error(("evaluation", "auc"), f"auc needs two classes, and {dataset.name} has {dataset.classes}")
    yield from _split_errors(file, dataset)


def _split_errors(file: CardFile[BenchmarkCard], dataset: DatasetCard) -> Iterator[Finding]:
    """The shares fit in their parts, taken one after another, and are large enough for what is done with them."""
    card = file.card
    left = {name: part.images for name, part in dataset.parts.items()}
    count = {}
    if card.split.folds is not None and card.split.test.part in left:
        images = left[card.split.test.part]
        if card.split.folds > images:
            yield file.error(
                ("split", "folds"),
                f"{card.split.folds} folds of part {card.split.test.part}, of {how_many(images, 'image')}",
            )
            return
        count["test"] = images // card.split.folds
        left[card.split.test.part] -= -(-images // card.split.folds)
    for role, share in (("train", card.split.train), ("validation", card.split.validation), ("test", card.split.test)):
        if share is None or role in count:
            continue
        if share.part not in left:
            message = f"{dataset.name} has no part '{share.part}'; {choice(share.part, left)}"
            yield file.error(("split", role, "part"), message)
            continue
        wanted = left[share.part] if share.images is None else share.images
        if wanted > left[share.part] or wanted == 0:
            message = f"{wanted or 'all that is left'} of part {share.part}, where {left[share.part]} are left"
            yield file.error(("split", role, "part" if share.images is None else "images"), message)
            return
        left[share.part] -= wanted
        count[role] = wanted
    if card.evaluation.equivariance_images > count.get("test", card.evaluation.equivariance_images):
        message = (
            f"{card.evaluation.equivariance_images} is more than the {how_many(count['test'], 'image')} for testing"
        )
        yield file.error(("evaluation", "equivariance_images"), message)
    if card.recipe.drop_last and card.recipe.batch_size > count.get("train", card.recipe.batch_size):
        trained = how_many(count["train"], "image")
        message = f"{card.recipe.batch_size} is more than the {trained} for training, and drop_last is true"
        yield file.error(("recipe", "batch_size"), message)
