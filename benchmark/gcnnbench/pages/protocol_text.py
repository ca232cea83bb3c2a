"""A benchmark's protocol in sentences, as a paper's section on the set-up would have it."""

from __future__ import annotations

from collections.abc import Iterator

from gcnnbench.cards.augmentation import Augmentation, Fill, UniformAngle
from gcnnbench.cards.benchmark_card import BenchmarkCard, Input, Split
from gcnnbench.cards.dataset_card import DatasetCard
from gcnnbench.cards.elements import ELEMENTS, GridGroupName
from gcnnbench.cards.recipe import SGD, Adam, MultiStepDecay, Recipe, StepDecay, TrainingPhase, Triangular
from gcnnbench.formatting import how_many


def protocol(card: BenchmarkCard, dataset: DatasetCard) -> Iterator[tuple[str, str]]:
    """What a benchmark does, one subject after another: its name and a sentence or two."""
    yield "data", _data(card, dataset)
    yield "input", _input(card.input, dataset)
    yield "training", _training(card.recipe)
    yield "augmentation", _augmentation(card.recipe.augmentation)
    yield "tested", _tested(card.recipe)
    yield "scored", _scored(card)


def _data(card: BenchmarkCard, dataset: DatasetCard) -> str:
    if card.split.folds is not None:
        return _folds(card.split, dataset)
    left = {name: part.images for name, part in dataset.parts.items()}
    told = []
    for role, share in (("train", card.split.train), ("validate", card.split.validation), ("test", card.split.test)):
        if share is not None:
            images = left[share.part] if share.images is None else share.images
            left[share.part] -= images
            told.append(f"{images:,} to {role} (part {share.part})")
    order = {
        "seed": "drawn anew for each seed",
        "fixed": "drawn once for all seeds",
        "none": "in the order of the files",
    }[card.split.shuffle]
    return f"{dataset.title}: {', '.join(told)}, {order}."


def _folds(split: Split, dataset: DatasetCard) -> str:
    images = dataset.parts[split.test.part].images
    kept = f", {split.validation.images:,} of them to validate" if split.validation and split.validation.images else ""
    drawn = {
        "seed": f"drawn anew for every {split.folds} seeds",
        "fixed": "drawn once for all seeds",
        "none": "in the order of the files",
    }[split.shuffle]
    return (
        f"{dataset.title}: {images:,} (part {split.test.part}) in {split.folds} folds {drawn}; each seed is tested on "
        f"one and learns from the others{kept}."
    )


def _input(card: Input, dataset: DatasetCard) -> str:
    first = "" if card.source_size is None else f"to {card.source_size}×{card.source_size} pixels and then "
    resized = f"resized {first}to the entry's size as by Pillow (bilinear)"
    size = "at their own size" if card.resize == "none" else resized
    copied = f", shown as {card.channels} equal channels" if card.channels > dataset.channels else ""
    fitted = {
        None: "scaled to [0, 1]" if dataset.pixels == "uint8" else "as they are",
        "standardised": "standardised by the mean and deviation of all training pixels",
        "contrast-zca": "each to mean 0 and deviation 1, then whitened by ZCA fitted to the training images",
    }[card.fitted]
    scale = ""
    if set(card.mean) != {0.0} or set(card.std) != {1.0}:
        scale = f", then (x − mean) / std with mean {_numbers(card.mean)} and std {_numbers(card.std)}"
    return f"Images {size}{copied}, {fitted}{scale}."


def _training(card: Recipe) -> str:
    rate = card.optimiser
    if isinstance(rate, Adam):
        how = "Adam"
    else:
        how = f"SGD with {'Nesterov ' if rate.nesterov else ''}momentum {_number(rate.momentum)}"
    special = ""
    if isinstance(rate, SGD) and rate.norm_biases is not None:
        special = (
            f" (biases of norms: learning rate {_number(rate.norm_biases.learning_rate)}, "
            f"weight decay {_number(rate.norm_biases.weight_decay)})"
        )
    decay = f"weight decay {_number(rate.weight_decay)}" if rate.weight_decay else "no weight decay"
    schedule = {
        "constant": "kept constant",
        "one-cycle": "the peak of one cycle",
        "step": "",
        "multi-step": "",
        "triangular": "",
    }[card.schedule.name]
    if isinstance(card.schedule, StepDecay):
        schedule = f"times {_number(card.schedule.factor)} every {how_many(card.schedule.every, 'epoch')}"
    elif isinstance(card.schedule, MultiStepDecay):
        epochs = ", ".join(map(str, card.schedule.epochs))
        schedule = f"times {_number(card.schedule.factor)} after epochs {epochs}"
    elif isinstance(card.schedule, Triangular):
        schedule = (
            f"from {_number(card.schedule.start)} of it up over the first {_number(100 * card.schedule.rise)} % of the "
            f"steps and down to {_number(card.schedule.end)} of it"
        )
    loss = "cross entropy"
    loss += f" with label smoothing {_number(card.label_smoothing)}" if card.label_smoothing else ""
    if card.lookahead is not None:
        loss += f"; lookahead every {how_many(card.lookahead.every, 'step')}, decay {_number(card.lookahead.decay)}"
    last = "dropped" if card.drop_last else "kept"
    special += "".join(f"; {_phase(number, phase)}" for number, phase in enumerate(card.phases or (), start=1))
    return (
        f"{how_many(card.epochs, 'epoch')} in batches of {card.batch_size} (a smaller last one is {last}); {how}, "
        f"learning rate {_number(rate.learning_rate)}, {schedule}; {decay}{special}; {loss}; {card.numeric_mode}."
    )


def _phase(number: int, card: TrainingPhase) -> str:
    """What one phase does otherwise than the recipe."""
    told = [how_many(card.epochs, "epoch")] if card.epochs else []
    if card.optimiser is not None:
        told.append(f"{card.optimiser.name}, learning rate {_number(card.optimiser.learning_rate)}")
    told += [f"schedule {card.schedule.name}"] if card.schedule else []
    told += [f"trains {', '.join(card.trains)} only"] if card.trains else []
    for role, rates in (card.roles or {}).items():
        own = [
            f"{what} {_number(value)}"
            for what, value in (("learning rate", rates.learning_rate), ("weight decay", rates.weight_decay))
            if value is not None
        ]
        told.append(f"{role}: {', '.join(own)}")
    return f"phase {number} ({'; '.join(told) or 'as the recipe'})"


def _augmentation(card: Augmentation) -> str:
    told = []
    if card.crop_padding:
        border = "reflected" if card.crop_border == "reflected" else "black"
        told.append(f"random crops, {card.crop_padding} {border} pixels around the image")
    told += ["horizontal flips"] if card.horizontal_flip else []
    told += ["vertical flips"] if card.vertical_flip else []
    told += ["random quarter turns"] if card.quarter_turns else []
    if card.rotation:
        angle = card.rotation.angle
        if isinstance(angle, UniformAngle):
            drawn = f"uniform from {_number(angle.low)}° to {_number(angle.high)}°"
        else:
            drawn = f"normal around {_number(angle.mean)}° with deviation {_number(angle.std)}°"
        told.append(f"rotation by one angle for each {card.rotation.per}, {drawn}, {_fill(card.rotation.fill)} outside")
    told += ["horizontal flips of each image in every other epoch"] if card.alternating_flip else []
    return f"{'; then '.join(told).capitalize()}." if told else "None."


def _tested(card: Recipe) -> str:
    epoch = "The last epoch" if card.tested_model == "last" else "The first epoch with the best validation accuracy"
    norms = ", its norms' statistics estimated anew over the training batches" if card.norm_statistics else ""
    return f"{epoch}{norms}."


def _scored(card: BenchmarkCard) -> str:
    protocol = card.evaluation
    unseen = [name for name in ELEMENTS[protocol.group] if name not in protocol.seen]
    seen = f"training has seen {', '.join(protocol.seen)}" + ("" if unseen else ", that is all")
    moved = f"; labels move with the image under {', '.join(protocol.labels)}" if protocol.labels else ""
    probes = f"; probes: {', '.join(protocol.probes)}" if protocol.probes else ""
    return (
        f"Accuracy under {_elements(protocol.group)} ({seen}) and at every {protocol.curve.step} degrees "
        f"({_fill(protocol.curve.fill)} outside){', AUC' if protocol.auc else ''}; equivariance on "
        f"{how_many(protocol.equivariance_images, 'image')}{moved}{probes}. Ranked by {card.rank_by} over "
        f"{how_many(card.seeds, 'seed')}."
    )


def _elements(group: GridGroupName) -> str:
    if "shifts" not in group:
        return f"every element of {group}"
    return f"{how_many(len(ELEMENTS[group]), 'element')} that stand for {group}, with circular shifts"


def _fill(fill: Fill) -> str:
    if fill.scale == "after-normalisation":
        return "the mean" if fill.value == 0 else f"{_number(fill.value)} after normalisation"
    return {0.0: "black", 1.0: "white"}.get(fill.value, f"grey {_number(fill.value)}")


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(map(_number, values if len(set(values)) > 1 else values[:1]))


def _number(value: float) -> str:
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)
