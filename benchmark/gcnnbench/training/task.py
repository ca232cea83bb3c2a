"""A training task – recipe, images, random streams – and its state after a number of epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gcnnbench.cards.recipe import Recipe
from gcnnbench.data.augment import flip
from gcnnbench.data.images import Images
from gcnnbench.data.streams import derive, generator
from gcnnbench.device import send
from gcnnbench.training.capture import Graph, recordable


@dataclass(frozen=True)
class Task:
    """What is trained on what: the recipe, the images on the device, and the names that the random streams hang on."""

    benchmark: str
    seed: int
    recipe: Recipe
    train: Images
    validation: Images | None
    device: torch.device
    threads: int
    probe: Callable[[nn.Module], dict[str, Any] | None] | None = None
    """What is read from the network after every epoch."""
    graph: Callable[[], Graph] | None = None
    """Makes a graph in which steps are recorded and replayed, where the network allows it; without, each is made as it
    is. The same bits."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch; the last one may be smaller."""
        images, batch = len(self.train), self.recipe.batch_size
        return images // batch if self.recipe.drop_last else -(-images // batch)

    @property
    def images_per_epoch(self) -> int:
        """Images that an epoch trains on."""
        return min(len(self.train), self.steps_per_epoch * self.recipe.batch_size)

    def records(self, network: nn.Module) -> bool:
        """Whether the steps of a network are recorded and replayed."""
        return self.graph is not None and recordable(network)

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The augmented images and the labels of each batch of an epoch, from that epoch's own random streams."""
        images, size = self.train, self.recipe.batch_size
        order = torch.randperm(len(images), generator=generator(self.benchmark, self.seed, "order", epoch))
        order = send(order, self.device)
        draws = generator(self.benchmark, self.seed, "augmentation", epoch)
        mirrored = self._mirrored_in(epoch) if self.recipe.augmentation.alternating_flip else None
        for step in range(self.steps_per_epoch):
            chosen = order[step * size : (step + 1) * size]
            batch = images.augmented_batch(chosen, self.recipe.augmentation, draws)
            if mirrored is not None:
                batch = flip(batch, mirrored[chosen], axis=-1)
            yield batch, images.labels[chosen]

    def plain_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All training images and labels as images are tested, in the order in which they are kept."""
        for start in range(0, len(self.train), self.recipe.batch_size):
            batch = slice(start, start + self.recipe.batch_size)
            yield self.train.batch(batch), self.train.labels[batch]

    def _mirrored_in(self, epoch: int) -> Tensor:
        """Which training images the alternating flip mirrors in an epoch, bool (images,): a half, or else the other."""
        coins = torch.randint(2, (len(self.train),), generator=generator(self.benchmark, self.seed, "mirrored"))
        return send((coins + epoch) % 2 == 1, self.device)

    def pass_for_norms(self, epoch: int) -> int | None:
        """The pass, counted on from the last epoch, over which norms are estimated anew after an epoch; null for none.

        The statistics are used for validation and in the end, so without validation only the last epoch has one.
        """
        wanted = self.recipe.norm_statistics == "re-estimated"
        used = self.validation is not None or epoch == self.recipe.epochs - 1
        return self.recipe.epochs + epoch if wanted and used else None

    @property
    def smoothing(self) -> float:
        """The share of a label that is spread over all classes."""
        return self.recipe.label_smoothing or 0.0

    def network_stream(self, epoch: int) -> int:
        """The seed of what the network draws in an epoch, as for dropout."""
        return derive(self.benchmark, self.seed, "network", epoch)


@dataclass(frozen=True)
class EpochResult:
    """What came of one epoch: the sum of its losses, the images put into their class, in training and validation.

    `penalty` is the sum over images of what the network added to the loss, null where it adds nothing.
    """

    learning_rate: float
    loss: float
    correct: int
    validated: int
    seconds: float
    penalty: float | None = None
    probes: dict[str, Any] | None = None


@dataclass
class TrainingState:
    """All that training knows after a number of whole epochs; plain tensors, numbers and strings throughout."""

    epochs_done: int = 0
    network: dict[str, Tensor] = field(default_factory=dict)
    optimiser: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    slow_weights: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    steps: int = 0
    images_seen: int = 0
    tested_epoch: int = 0
    tested_correct: int = -1
    tested_network: dict[str, Tensor] = field(default_factory=dict)

    def add(self, task: Task, epoch: EpochResult, network: dict[str, Tensor], optimiser: dict[str, Any]) -> None:
        """Note a finished epoch: its history, the network after it, and whether that is the one to be tested."""
        images, validation, steps = task.images_per_epoch, task.validation, task.steps_per_epoch
        self.history.append(
            {
                "epoch": self.epochs_done + 1,
                "learning_rate": epoch.learning_rate,
                "train_loss": epoch.loss / images,
                "train_penalty": None if epoch.penalty is None else epoch.penalty / images,
                "train_accuracy": epoch.correct / images,
                "validation_accuracy": epoch.validated / len(validation) if validation else None,
                "seconds": epoch.seconds,
                "probes": epoch.probes,
            }
        )
        self.epochs_done, self.steps = self.epochs_done + 1, self.steps + steps
        self.images_seen += images
        self.network, self.optimiser = network, optimiser
        if task.recipe.tested_model == "last" or epoch.validated > self.tested_correct:
            self.tested_epoch, self.tested_correct = self.epochs_done, epoch.validated
            self.tested_network = {name: value.clone() for name, value in network.items()}
