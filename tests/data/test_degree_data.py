"""The data of the degree benchmarks: labels move with the image, black stands outside, exact networks get half."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.registry import Registry
from gcnnbench.data.files import faults
from gcnnbench.data.fitted import shares_of
from gcnnbench.data.images import prepare
from gcnnbench.data.parts import Part
from gcnnbench.data.posed import Condition, posed
from gcnnbench.data.registered import load_dataset
from gcnnbench.nn.augerino import TurnedCopies
from gcnnbench.nn.groups import group
from gcnnbench.scoring.conditions import EvaluationState, count, evaluate
from gcnnbench.scoring.metrics import Counts, metrics

REGISTRY = Registry.load()
DEVICE = torch.device("cpu")
CARDS = {card.name: card for family in ("degree-digits", "degree-mnist") for card in REGISTRY.family(family)}
HALVES = [name for name in CARDS if name.endswith("-halves")]
CONDITIONS: tuple[Condition, ...] = ("sector", "circle", "quarter", "halves")
EXACT = [
    (name, entry)
    for name in HALVES
    for entry in CARDS[name].entries
    if split_entry(entry)[1] in REGISTRY.model(split_entry(entry)[0]).exact_at
]
"""The entries of the conditions in halves whose cards claim that they are exact."""


@cache
def parts(dataset: str) -> dict[str, Part]:
    """A registered data set, checked against the digests on its card; skipped where its files are not at hand."""
    folder = Path(os.environ.get("GCNNBENCH_DATA", "data"))
    if faults(REGISTRY.dataset(dataset), folder, content=False):
        pytest.skip(f"the files of {dataset} are not in {folder}; set GCNNBENCH_DATA")
    return load_dataset(REGISTRY, dataset, folder)


def half_turned(images: Tensor) -> Tensor:
    return images.rot90(2, (-2, -1))


def scored(network: nn.Module, part: Part, card: BenchmarkCard, size: int) -> tuple[Counts, Tensor]:
    """The counts as of a record, and which images (elements, images) are right."""
    images, state = prepare(part, card.input, size, DEVICE), EvaluationState()
    *_, state = evaluate(network.eval(), images, card.evaluation, group(card.evaluation.group), 1, state)
    right = torch.stack([logits.argmax(1) == part.labels for logits in state.logits.values()])
    return count(state, part.labels, REGISTRY.dataset(card.dataset).classes), right


def seen_accuracy(counts: Counts, card: BenchmarkCard) -> float:
    found = metrics(counts, card.evaluation.seen, invariance_error=None)["accuracy.seen"]
    assert found is not None
    return found


class Known(nn.Module):
    """Says the label of each image in both poses, which it was told."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        super().__init__()
        self.known = torch.cat([images, half_turned(images)]).flatten(1)
        self.labels = torch.cat([labels, (labels + 10) % 20])

    def forward(self, images: Tensor) -> Tensor:
        place = torch.cdist(images.flatten(1).double(), self.known.double()).argmin(1)
        return nn.functional.one_hot(self.labels[place], 20).float()


def fitted(network: nn.Module, images: Tensor, labels: Tensor) -> nn.Module:
    """The network with the head of least squares for these images: far from chance, and nothing is trained."""
    head = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    features: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, given: features.append(given[0].double()))
    with torch.no_grad():
        network.eval()(images)
        hook.remove()
        rows = torch.cat([features[0], torch.ones(len(images), 1, dtype=torch.float64)], 1)
        wanted = nn.functional.one_hot(labels, head.out_features).double()
        found = torch.linalg.lstsq(rows, wanted, driver="gelsd").solution
        head.weight.copy_(found[:-1].T)
        head.bias.copy_(found[-1])
    return network


@pytest.mark.parametrize("name", HALVES)
def test_labels_of_halves_are_the_digit_and_ten_where_it_is_turned(name: str) -> None:
    evaluation = CARDS[name].evaluation
    assert evaluation.group == "p2"
    assert evaluation.seen == ("upright", "rot180")
    assert evaluation.labels == {"rot180": tuple((label + 10) % 20 for label in range(20))}
    assert REGISTRY.dataset(CARDS[name].dataset).classes == 20


def test_only_halves_have_labels_that_move() -> None:
    assert len(CARDS) == 7
    assert all(card.evaluation.labels is None for name, card in CARDS.items() if name not in HALVES)
    assert all(card.evaluation.group == "p4" for name, card in CARDS.items() if name not in HALVES)


def test_a_moved_image_with_its_moved_label_is_the_digit_in_its_other_pose() -> None:
    """The half-turn of the scoring and the label that the card says it gets, against the poses themselves."""
    upright, made = posed(parts("digits"), "sector", 10)["all"], parts("digits-halves")["all"]
    labels = CARDS["degree-digits-halves"].evaluation.labels
    assert labels is not None
    element = next(element for element in group("p2").elements if element.name == "rot180")
    moved = Part(element.act(made.images), torch.tensor(labels["rot180"])[made.labels])
    poses = {False: upright, True: Part(half_turned(upright.images), upright.labels + 10)}
    assert ((moved.labels >= 10) != (made.labels >= 10)).all()
    for turned, pose in poses.items():
        here, there = (made.labels >= 10) == turned, (made.labels >= 10) != turned
        assert torch.equal(made.images[here], pose.images[here])
        assert torch.equal(made.labels[here], pose.labels[here])
        assert torch.equal(moved.images[there], pose.images[there])
        assert torch.equal(moved.labels[there], pose.labels[there])


def test_an_exact_network_is_right_in_at_most_one_pose_of_each_image() -> None:
    """P4CNN with a fitted head, so that the half that it can have is a good part of the images."""
    card, made = CARDS["degree-digits-halves"], parts("digits-halves")["all"]
    part = Part(made.images[:400], made.labels[:400])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = REGISTRY.module("model", "p4cnn").build(size=12, channels=1, classes=20, planes=24, dropout=0.0)
    images = prepare(part, card.input, 12, DEVICE).batch(slice(None))
    counts, right = scored(fitted(network, images, part.labels), part, card, 12)
    assert right[0].float().mean() > 0.2, "it has learnt something"
    assert (right.sum(0) <= 1).all()
    assert int(right.sum()) <= len(part)
    assert seen_accuracy(counts, card) == int(right.sum()) / (2 * len(part)) <= 0.5


@pytest.mark.parametrize(("name", "entry"), EXACT, ids=[f"{name}-{entry}" for name, entry in EXACT])
def test_every_exact_entry_is_held_below_half(name: str, entry: str) -> None:
    """Embedded digits at the entry's size, weights as drawn: the bound is the network's, not its training's."""
    card, made = CARDS[name], parts("digits-halves")["all"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = REGISTRY.build(entry, card)
    part, size = Part(made.images[:64], made.labels[:64]), split_entry(entry)[1]
    images = prepare(part, card.input, size, DEVICE).batch(slice(None))
    counts, right = scored(fitted(network, images, part.labels), part, card, size)
    assert right[0].any()
    assert (right.sum(0) <= 1).all()
    assert seen_accuracy(counts, card) <= 0.5


def test_both_benchmarks_have_an_exact_entry() -> None:
    assert {name for name, _ in EXACT} == set(HALVES)


def test_who_tells_the_poses_apart_gets_all() -> None:
    """Planted: were the bound one of the data or the scoring, this network could not pass it either."""
    card, made = CARDS["degree-digits-halves"], parts("digits-halves")["all"]
    part = Part(made.images[:200], made.labels[:200])
    images = prepare(part, card.input, 12, DEVICE).batch(slice(None))
    counts, right = scored(Known(images, part.labels), part, card, 12)
    assert right.all()
    assert seen_accuracy(counts, card) == 1.0


@pytest.mark.parametrize("condition", CONDITIONS)
def test_poses_are_one_sequence_over_all_parts(condition: Condition) -> None:
    """Drawn alike for all parts, in their order, and from no generator but their own."""
    whole = parts("digits")["all"]
    given = Part(whole.images[:300], whole.labels[:300])
    two = {"train": Part(given.images[:200], given.labels[:200]), "test": Part(given.images[200:], given.labels[200:])}
    made, split = posed({"all": given}, condition, 10)["all"], posed(two, condition, 10)
    torch.rand(7)
    again = posed({"all": given}, condition, 10)["all"]
    assert torch.equal(made.images, torch.cat([split["train"].images, split["test"].images]))
    assert torch.equal(made.labels, torch.cat([split["train"].labels, split["test"].labels]))
    assert torch.equal(made.images, again.images)
    assert torch.equal(made.labels, again.labels)


def test_quarter_turns_of_digits_keep_every_value() -> None:
    given, made = parts("digits")["all"], parts("digits-quarter")["all"]
    turns = torch.stack([(given.images.rot90(k, (-2, -1)) == made.images).flatten(1).all(1) for k in range(4)])
    assert turns.any(0).all()
    assert (turns.sum(1) > len(made) / 5).all()
    assert torch.equal(given.labels, made.labels)
    assert torch.equal(given.images.flatten(1).sort(1).values, made.images.flatten(1).sort(1).values)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_what_a_pose_brings_in_is_black(condition: Condition) -> None:
    white = {"all": Part(torch.full((200, 1, 9, 9), 255, dtype=torch.uint8), torch.zeros(200, dtype=torch.int64))}
    made = posed(white, condition, 10)["all"].images
    assert (made[:, 0, 2:7, 2:7] == 255).all(), "what was inside at every angle is as it was"
    assert int(made[:, 0, 0, 0].min()) == (255 if condition == "quarter" else 0)
    black = {"all": Part(torch.zeros(50, 1, 9, 9, dtype=torch.uint8), torch.zeros(50, dtype=torch.int64))}
    assert not posed(black, condition, 10)["all"].images.any()


@pytest.mark.parametrize("name", CARDS)
def test_black_of_the_card_is_the_black_of_images_curve_and_networks(name: str) -> None:
    card = CARDS[name]
    (black,) = card.input.black
    assert black == (0 - card.input.mean[0]) / card.input.std[0] < 0
    dark = prepare(
        Part(torch.zeros(1, 1, 9, 9, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64)), card.input, 9, DEVICE
    )
    turned = dark.rotated_batch(slice(None), 45, card.evaluation.curve.fill)
    torch.testing.assert_close(turned, torch.full_like(turned, black))
    for entry in card.entries:
        if split_entry(entry)[0] in ("augerino-z2cnn", "augerino-p4cnn", "z2cnn-averaged", "z2cnn-turned"):
            network = REGISTRY.build(entry, card)
            assert isinstance(network, TurnedCopies)
            assert network.black == (black,)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_mnist_is_posed_as_the_condition_says(condition: Condition) -> None:
    """The files themselves: their digests by loading them, and each image against MNIST's own."""
    given, made = parts("mnist")["test"], parts(f"mnist-{condition}")["test"]
    assert torch.equal(given.labels, made.labels % 10)
    if condition == "quarter":
        turns = torch.stack([(given.images.rot90(k, (-2, -1)) == made.images).flatten(1).all(1) for k in range(4)])
        assert turns.any(0).all()
    elif condition == "halves":
        sector, turned = parts("mnist-sector")["test"].images, (made.labels >= 10)[:, None, None, None]
        assert torch.equal(made.images, torch.where(turned, half_turned(sector), sector))
        assert 0.48 < float(turned.float().mean()) < 0.52
    else:
        assert (made.images != given.images).flatten(1).any(1).float().mean() > 0.99


def test_mnist_in_halves_holds_an_exact_network_below_half() -> None:
    card = CARDS["degree-mnist-halves"]
    part = shares_of(card, parts(card.dataset), 0, limit=500).test
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = REGISTRY.build("p4cnn@16", card)
    images = prepare(part, card.input, 16, DEVICE).batch(slice(None))
    counts, right = scored(fitted(network, images, part.labels), part, card, 16)
    assert right[0].float().mean() > 0.1
    assert (right.sum(0) <= 1).all()
    assert seen_accuracy(counts, card) <= 0.5
